using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using AttentionKernels.Bench.Commands;
using AttentionKernels.Bench.Compare;
using AttentionKernels.Bench.Device;
using AttentionKernels.Bench.Nodes;
using AttentionKernels.Cuda;
using AttentionKernels.Tests.Cuda;
using AttentionKernels.Tests.Native;

namespace AttentionKernels.Tests.Bench;

/// <summary>The benchmark of a device, on a stub of the driver whose events say what they are told, with kernels on the emulator and a PyTorch that computes nothing.</summary>
[Collection(CudaCollection.Name)]
public sealed class DeviceBenchmarkTests(StubDriver stub)
{
    private const int Microseconds = 10_000;

    private static readonly AttentionShape OneHead = new(1, 1, 64);

    private static readonly DeviceBudget Tiny = new(2, 2, TimeSpan.Zero, 1, 1, 1);

    private static readonly DeviceCase Steered = new(DeviceCaseKind.Steered, ElementType.BFloat16, OneHead, 1, 512, 512, true, Dense: true);
    private static readonly DeviceCase Decode = new(DeviceCaseKind.Decode, ElementType.BFloat16, new AttentionShape(4, 2, 64), 2, 1, 100, true);
    private static readonly DeviceCase Prefill = new(DeviceCaseKind.Prefill, ElementType.Float16, new AttentionShape(2, 1, 64), 2, 70, 70, false);

    private static DeviceRequest WithoutTorch => new(Torch: false);

    [Fact]
    public void Every_Side_Of_Every_Kind_Of_Case_Is_Checked_Timed_And_Reported()
    {
        DeviceCase[] cases =
        [
            Prefill,
            Steered,
            Decode,
            new(DeviceCaseKind.Append, ElementType.BFloat16, new AttentionShape(2, 1, 64), 2, 1, 40, true),
            new(DeviceCaseKind.Append, ElementType.Float16, new AttentionShape(2, 1, 64), 1, 40, 40, true),
            new(DeviceCaseKind.Prefill, ElementType.Float32, new AttentionShape(1, 1, 64), 1, 40, 40, true),
        ];
        DeviceReport report = Run(WithoutTorch, cases);
        Assert.True(report.Succeeded, Text(report));
        Assert.Equal(
            [
                "f16 2:1x64 B=2 S=70 full: plain", "bf16 1:1x64 B=1 S=512 causal: plain steered scores", "bf16 4:2x64 B=2 decode T=100: decode", "bf16 2:1x64 B=2 append 1 T=40: append decode",
                "f16 2:1x64 B=1 append 40 T=40: append plain", "f32 1:1x64 B=1 S=40 causal: plain",
            ],
            report.Cases.Select(c => $"{c.Case}: {string.Join(' ', c.Sides.Select(s => s.Side))}"));
        foreach (DeviceSideResult side in report.Cases.SelectMany(c => c.Sides))
        {
            Assert.Equal(DeviceSideStatus.Measured, side.Status);
            Assert.Equal(10, side.Milliseconds!.Value.Median, 9);
            Assert.Equal([10d, 10d], side.Samples);
            Assert.Equal(1, side.OfFirst!.Value.Median, 9);
            Assert.InRange(side.Error!.Value, 0, 0.02);
            Assert.True(side.HostMicroseconds > 0);
        }
        Assert.Equal(["upload", "PrefillPlain", "PrefillClasses", "HeadScores", "SocialBias"], Operations(report.Cases[1].Sides[1]));
        Assert.Equal(["upload", "ScoresOnly", "HeadScores"], Operations(report.Cases[1].Sides[2]));
        Assert.Equal(["AppendKeyValue", "Decode", "DecodeCombine"], Operations(report.Cases[3].Sides[0]));
        Assert.Equal(["AppendKeyValue", "PrefillPlain"], Operations(report.Cases[4].Sides[0]));
    }

    /// <summary>Two products of 2 D operations for each head, row and key, half of them if causal; keys and values are read once. A bus of 512 bits at 1 GHz brings 128 GB/s.</summary>
    [Fact]
    public void Rates_Are_Operations_And_Bytes_By_The_Time_Of_Events()
    {
        DeviceReport report = Run(WithoutTorch, [Prefill, Decode]);
        const double Seconds = Microseconds * 1e-6;
        DeviceSideResult plain = report.Cases[0].Sides[0], decode = report.Cases[1].Sides[0];
        Assert.Equal(2 * 2 * 70 * 70 * (64 + 64) * 2 / Seconds / 1e12, plain.TeraFlops!.Value, 12);
        Assert.Null(plain.GigaBytes);
        double read = 2 * 2 * 100 * 64 * 2 * 2 / Seconds / 1e9;
        Assert.Equal(read, decode.GigaBytes!.Value, 9);
        Assert.Null(decode.TeraFlops);
        Assert.Equal(128, report.Device.DataSheetGigaBytes!.Value, 9);
        Assert.Equal(read / 128, decode.BandwidthOfDataSheet!.Value, 9);
        // A copy of an eighth of 16 MiB, read and written; four of them between two events.
        double copy = 2 * (2 << 20) / (Seconds / 4) / 1e9;
        Assert.Equal(copy, report.Device.CopyGigaBytes, 9);
        Assert.Equal(read / copy, decode.BandwidthOfCopy!.Value, 9);
        // Four times the 16 KiB of the cache, in caches of 2 * 2 * 100 * 64 * 2 * 2 bytes.
        Assert.Equal(1, report.Cases[1].Caches);
        DeviceCase causal = new(DeviceCaseKind.Prefill, ElementType.BFloat16, new AttentionShape(16, 16, 128), 2, 8192, 8192, true);
        Assert.Equal(4.0 * 2 * 16 * 8192 * 8192 * 128 / 2, causal.Operations);
        Assert.Equal(32.0 * 2 * 8 * 8192 * 128 * 2, new DeviceCase(DeviceCaseKind.Decode, ElementType.BFloat16, new AttentionShape(32, 32, 128), 8, 1, 8192, true).CacheBytes);
    }

    [Fact]
    public void Caches_Together_Are_Larger_Than_The_Second_Level_Cache()
    {
        DeviceCase small = new(DeviceCaseKind.Decode, ElementType.BFloat16, new AttentionShape(2, 1, 64), 1, 1, 33, true);
        DeviceReport report = Run(WithoutTorch, [small]);
        Assert.Equal((int)Math.Ceiling(4 * 16384 / (2.0 * 33 * 64 * 2)), report.Cases[0].Caches);
        Assert.True(report.Succeeded, Text(report));
    }

    [Theory]
    [InlineData("PrefillPlain", "plain", "the output is wrong")]
    [InlineData("PrefillClasses", "steered", "the output is wrong")]
    [InlineData("HeadScores", "steered scores", "the scores are wrong")]
    public void A_Wrong_Result_Has_No_Time(string kernel, string wrong, string reason)
    {
        using DeviceStub device = new(stub, Microseconds) { Damaged = kernel };
        DeviceReport report = Run(WithoutTorch, [Steered], device);
        Assert.False(report.Succeeded);
        string[] expected = wrong.Split(' ');
        foreach (DeviceSideResult side in report.Cases[0].Sides)
        {
            bool isWrong = side.Status == DeviceSideStatus.Wrong;
            if (isWrong)
            {
                Assert.Null(side.Milliseconds);
                Assert.Null(side.TeraFlops);
                Assert.Contains(reason, side.Reason, StringComparison.Ordinal);
                Assert.Contains("WRONG: the ", Text(report), StringComparison.Ordinal);
            }
        }
        Assert.All(expected, name => Assert.Equal(DeviceSideStatus.Wrong, report.Cases[0].Sides.Single(s => s.Side == name).Status));
    }

    [Fact]
    public void A_Kernel_That_Fails_Is_Named_And_The_Rest_Goes_On()
    {
        using DeviceStub device = new(stub, Microseconds) { Failing = "Decode" };
        DeviceReport report = Run(WithoutTorch, [Decode, Prefill], device);
        Assert.False(report.Succeeded);
        Assert.Equal(DeviceSideStatus.Failed, report.Cases[0].Sides[0].Status);
        Assert.Contains("CUDA_ERROR_LAUNCH_FAILED", report.Cases[0].Sides[0].Reason, StringComparison.Ordinal);
        Assert.Equal(DeviceSideStatus.Measured, report.Cases[1].Sides[0].Status);
    }

    [Fact]
    public void A_Case_That_Does_Not_Fit_Is_Skipped_And_Says_So()
    {
        DeviceReport report = Run(WithoutTorch, [new(DeviceCaseKind.Decode, ElementType.BFloat16, new AttentionShape(32, 32, 128), 32, 1, 32768, true)]);
        Assert.Contains("not run: it needs 17.2 GB", report.Cases[0].Skipped, StringComparison.Ordinal);
        Assert.Empty(report.Cases[0].Sides);
        Assert.False(report.Succeeded, "a run that measured nothing has shown nothing");
        Assert.All(report.Bars, bar => Assert.Equal(("not measured", 0), (bar.Verdict, bar.Cases)));
        Assert.All(report.Bars, bar => Assert.Null(bar.Mean));
    }

    [Fact]
    public void The_Text_And_The_Json_Have_Every_Side()
    {
        DeviceReport report = Run(WithoutTorch, [Decode]);
        string file = Path.Combine(Directory.CreateTempSubdirectory().FullName, "gpu.json"), text = Text(report);
        report.WriteJson(file);
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(file));
        JsonElement first = json.RootElement.GetProperty("cases")[0], side = first.GetProperty("sides")[0];
        Assert.Equal("bf16 4:2x64 B=2 decode T=100", first.GetProperty("case").GetString());
        Assert.Equal(("decode", "Measured", 10d), (side.GetProperty("side").GetString(), side.GetProperty("status").GetString(), side.GetProperty("milliseconds").GetProperty("median").GetDouble()));
        Assert.Equal("Stub GPU 0", json.RootElement.GetProperty("device").GetProperty("name").GetString());
        Assert.Equal("not asked for", json.RootElement.GetProperty("torch").GetProperty("missing").GetString());
        Assert.Contains("Stub GPU 0, device 0, compute capability 8.0, 108 multiprocessors", text, StringComparison.Ordinal);
        Assert.Matches(@"  decode +2 +10\.0000 \[10\.0000-10\.0000\]", text);
        Assert.EndsWith("summary: plain=- steered=- scores=- decode_8k=- dense=-", text.TrimEnd(), StringComparison.Ordinal);
    }

    [Fact]
    public void Bars_Are_Met_By_The_Mean_And_Say_How_Many_Cases_Reach_Them()
    {
        DeviceCaseResult[] cases = [Case(512, 225, 1.01), Case(8192, 484, 1.08)];
        DeviceBarResult[] bars = [.. DeviceBar.All.Select(bar => DeviceBarResult.Of(bar, cases))];
        Assert.Equal(["met", "met", "not measured", "not measured", "not measured"], bars.Select(bar => bar.Verdict));
        Assert.Equal(15 * 22, bars[0].Mean!.Value, 9);
        Assert.Equal((1, 225, 484), (bars[0].Reached, bars[0].Worst, bars[0].Best));
        Assert.Equal(Math.Sqrt(1.01 * 1.08), bars[1].Mean!.Value, 9);
        Assert.Equal(1, bars[1].Reached);
        Assert.Equal(1.08, bars[1].Worst!.Value, 9);
        Assert.Equal("NOT MET", DeviceBarResult.Of(DeviceBar.All[0], [cases[0]]).Verdict);
        Assert.Equal("met, aim too", DeviceBarResult.Of(DeviceBar.All[0], [cases[1]]).Verdict);
        Assert.Equal("NOT MET", DeviceBarResult.Of(DeviceBar.All[1], [cases[1]]).Verdict);

        static DeviceCaseResult Case(int length, double teraFlops, double steered) => new(
            new DeviceCase(DeviceCaseKind.Steered, ElementType.BFloat16, new AttentionShape(16, 16, 128), 16384 / length, length, length, false),
            null,
            null,
            1,
            [
                new DeviceSideResult(SideNames.Plain, DeviceSideStatus.Measured, null, TeraFlops: teraFlops, Samples: [2, 2, 2]),
                new DeviceSideResult(SideNames.Steered, DeviceSideStatus.Measured, null, Samples: [2 * steered, 2 * steered, 9]),
            ]);
    }

    [Fact]
    public void The_Table_Has_What_It_Must()
    {
        IReadOnlyList<DeviceCase> all = DeviceCase.Full;
        Assert.Equal(all.Count, all.Distinct().Count());
        foreach (ElementType type in (ElementType[])[ElementType.BFloat16, ElementType.Float16])
        {
            foreach (int length in (int[])[512, 1024, 2048, 4096, 8192, 16384])
            {
                DeviceCase[] prompts = [.. all.Where(c => c.Kind is DeviceCaseKind.Prefill or DeviceCaseKind.Steered && c.Type == type && c.Rows == length && c.Batch * c.Rows == 16384 && c.Shape.Heads == c.Shape.KvHeads)];
                Assert.Equal([64, 64, 80, 80, 96, 96, 128, 128], prompts.Select(c => c.Shape.HeadSize).Order());
                Assert.All(prompts, c => Assert.InRange(c.Shape.Heads * c.Shape.HeadSize, 2000, 2048));
            }
        }
        Assert.Equal(6, all.Count(c => c.IsBarPrompt));
        Assert.Equal(2 * 3 * 4, all.Count(c => c.Kind == DeviceCaseKind.Decode));
        Assert.All(DeviceCase.Quick.Where(c => c.Kind != DeviceCaseKind.Append), c => Assert.Contains(c, all));
        Assert.Throws<BenchException>(() => new DeviceRequest(Filter: "5:5x5").ChooseCases());
        Assert.All(new DeviceRequest(Filter: "decode,append").ChooseCases(), c => Assert.True(c.Kind is DeviceCaseKind.Decode or DeviceCaseKind.Append));
    }

    [Fact]
    public async Task Without_A_Driver_Or_A_Device_The_Command_Says_So()
    {
        StringWriter output = new(), error = new();
        int code = await BenchTool.InvokeAsync(["gpu", "--quick", "--no-torch", "--device", "4096"], output, error);
        Assert.Equal(1, code);
        Assert.Matches("^bench: (no CUDA driver|cuDeviceGet failed with)", error.ToString());
    }

    // ---- PyTorch, which here is a module that computes nothing ----

    [Fact]
    public void PyTorchs_Sides_Are_Timed_In_Its_Own_Process()
    {
        DeviceReport report = Run(WithFakeTorch(), [Steered, Decode]);
        Assert.True(report.Succeeded, Text(report));
        Assert.Null(report.Torch.Missing);
        Assert.Equal(("2.99.0", "12.9"), (report.Torch.Version, report.Torch.Cuda));
        Assert.Equal(["plain", "steered", "scores", "torch flash", "torch cudnn", "torch scores", "torch dense", "torch flex"], report.Cases[0].Sides.Select(s => s.Side));
        foreach (DeviceSideResult side in report.Cases.SelectMany(c => c.Sides).Where(s => s.Side.StartsWith("torch", StringComparison.Ordinal)))
        {
            Assert.True(side.Status == DeviceSideStatus.Measured, side.Reason);
            // The fake's events are 6 ms apart; calls between them are as many as fill a sample of 1 ms.
            Assert.Equal(6, side.Milliseconds!.Value.Median, 9);
            Assert.Equal(0.6, side.OfFirst!.Value.Median, 9);
        }
        Assert.Equal("FLASH_ATTENTION", report.Cases[0].Sides[3].Backend);
        Assert.Equal("EFFICIENT_ATTENTION", report.Cases[0].Sides[6].Backend);
        Assert.Equal("FlexAttention, compiled", report.Cases[0].Sides[7].Backend);
    }

    /// <summary>No FlexAttention, no memory for a mask, and a side that hangs lose these sides and nothing else.</summary>
    [Theory]
    [InlineData("noflex", "torch flex", "ModuleNotFoundError")]
    [InlineData("nomemory", "torch dense", "OutOfMemoryError")]
    [InlineData("hang", "torch dense", "did not answer within")]
    [InlineData("die", "torch dense", "ended")]
    public void What_PyTorch_Cannot_Do_Loses_Its_Side_Only(string fault, string lost, string reason)
    {
        DeviceReport report = Run(WithFakeTorch(fault), [Steered, Decode], limit: fault == "hang" ? 20 : 300);
        Assert.True(report.Succeeded, Text(report));
        DeviceSideResult side = report.Cases[0].Sides.Single(s => s.Side == lost);
        Assert.Equal(DeviceSideStatus.Failed, side.Status);
        Assert.Contains(reason, side.Reason, StringComparison.Ordinal);
        Assert.Equal(DeviceSideStatus.Measured, report.Cases[1].Sides[^1].Status);
        Assert.Equal("torch decode", report.Cases[1].Sides[^1].Side);
    }

    [Theory]
    [InlineData("nocuda", "sees no CUDA device")]
    [InlineData("missing", "No module named 'torch'")]
    public void Without_PyTorch_The_Reason_Is_Told_And_Ours_Are_Measured(string fault, string reason)
    {
        DeviceReport report = Run(WithFakeTorch(fault), [Decode]);
        Assert.True(report.Succeeded, Text(report));
        Assert.Contains(reason, report.Torch.Missing, StringComparison.Ordinal);
        Assert.Equal(["decode"], report.Cases[0].Sides.Select(s => s.Side));
        Assert.Contains("PyTorch: none, ", Text(report), StringComparison.Ordinal);
    }

    [Fact]
    public void A_Python_That_Is_Not_There_Is_Named()
    {
        DeviceReport report = Run(new DeviceRequest(Python: "/nowhere/python3"), [Decode]);
        Assert.Contains("/nowhere/python3 did not start", report.Torch.Missing, StringComparison.Ordinal);
    }

    /// <summary>Ctrl-C while PyTorch hangs: the benchmark ends at once, and its child with it.</summary>
    [Fact]
    public void Cancelling_Ends_The_Child()
    {
        string pids = Path.Combine(Directory.CreateTempSubdirectory().FullName, "pid");
        using CancellationTokenSource cancellation = new();
        using FileSystemWatcher watcher = new(Path.GetDirectoryName(pids)!) { EnableRaisingEvents = true };
        watcher.Renamed += (_, _) => cancellation.Cancel();
        using DeviceStub device = new(stub, Microseconds);
        Assert.ThrowsAny<OperationCanceledException>(() => DeviceBenchmark.Run(
            WithFakeTorch("hang", pids), device.Gpu, [Steered], Tiny, TimeSpan.FromMinutes(5), _ => { }, cancellation.Token));
        int pid = int.Parse(File.ReadAllText(pids), CultureInfo.InvariantCulture);
        Assert.Throws<ArgumentException>(() => Process.GetProcessById(pid));
    }

    private static string[] Operations(DeviceSideResult side) => [.. side.Kernels!.Select(k => k.Operation)];

    private static string Text(DeviceReport report)
    {
        StringWriter text = new();
        report.WriteText(text);
        return text.ToString();
    }

    private DeviceReport Run(DeviceRequest request, DeviceCase[] cases, DeviceStub? device = null, int limit = 300)
    {
        using DeviceStub? own = device == null ? new DeviceStub(stub, Microseconds) : null;
        return DeviceBenchmark.Run(request, (device ?? own!).Gpu, cases, Tiny, TimeSpan.FromSeconds(limit), _ => { }, CancellationToken.None);
    }

    /// <summary>A Python whose torch is fake_torch, with a fault: a script that starts the real one.</summary>
    private static DeviceRequest WithFakeTorch(string fault = "", string pidFile = "")
    {
        string python = ChildProcess.Find("python3") ?? throw new InvalidOperationException("python3 is not in PATH: install it to run this test");
        string modules = Path.Combine(NativeBuild.Root, "tests", "AttentionKernels.Tests", "Bench", fault == "missing" ? "nothing" : "fake_torch");
        string script = Path.Combine(Directory.CreateTempSubdirectory("fake-torch-").FullName, "python");
        File.WriteAllText(script, $"#!/bin/sh\nPYTHONDONTWRITEBYTECODE=1 PYTHONPATH='{modules}' FAKE_TORCH_FAULT='{fault}' FAKE_TORCH_PID='{pidFile}' exec '{python}' \"$@\"\n");
        ChildProcess.Run("chmod", "+x", script).Succeeded();
        return new DeviceRequest(Python: script);
    }
}
