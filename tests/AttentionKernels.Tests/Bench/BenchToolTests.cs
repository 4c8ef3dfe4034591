using System.Text.Json;
using AttentionKernels.Bench.Commands;
using AttentionKernels.Bench.Compare;
using AttentionKernels.Bench.Report;

namespace AttentionKernels.Tests.Bench;

/// <summary>The command line of the bench; no test looks at a time.</summary>
public sealed class BenchToolTests
{
    [Fact]
    public async Task Without_Arguments_It_Prints_Help()
    {
        (int code, string output, _) = await Invoke();
        Assert.Equal(0, code);
        Assert.Contains("compare", output, StringComparison.Ordinal);
        Assert.Contains("suites", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--threads is '0', expected numbers from 1 on", "compare", "--threads", "0")]
    [InlineData("--threads is '1;2', expected numbers from 1 on", "compare", "--threads", "1;2")]
    [InlineData("Unrecognized command or argument 'comprae'", "comprae")]
    public async Task A_Wrong_Argument_Is_Named(string message, params string[] arguments)
    {
        (int code, _, string error) = await Invoke(arguments);
        Assert.Equal(2, code);
        Assert.Contains(message, error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_Filter_That_Fits_Nothing_Names_The_Cases()
    {
        (int code, _, string error) = await Invoke("compare", "--filter", "5:5x5");
        Assert.Equal(1, code);
        Assert.Contains("no case contains '5:5x5'; the cases are: 16:16x64 S=512 full,", error, StringComparison.Ordinal);
    }

    /// <summary>One small case through the whole command: both sides agree, kernels are named, the report can be read.</summary>
    [Fact]
    public async Task A_Case_Is_Measured_And_Reported()
    {
        string json = Path.Combine(Directory.CreateTempSubdirectory().FullName, "compare.json");
        (int code, string output, string error) = await Invoke("compare", "--quick", "--filter", "16:16x64 decode", "--threads", "1", "--json", json);
        Assert.True(code == 0, error);
        Assert.Matches(@"^summary: plain=NaN .* decode=\d+\.\d{3}$", output.TrimEnd().Split('\n')[^1]);
        Assert.Contains("the profile has one kernel, SteeredAttention on CPUExecutionProvider", output, StringComparison.Ordinal);
        using JsonDocument report = JsonDocument.Parse(await File.ReadAllBytesAsync(json));
        Assert.Equal("16:16x64 decode T=2048", report.RootElement.GetProperty("cases")[0].GetProperty("case").GetString());
        Assert.Equal("1.30.0", report.RootElement.GetProperty("machine").GetProperty("onnxRuntime").GetString());
    }

    [Fact]
    public void The_Table_Has_Every_Case_Of_The_Issue()
    {
        Assert.Equal((4 * 4 * 2) + (4 * 3), CompareCase.Full.Distinct().Count());
        Assert.All(CompareCase.Quick, c => Assert.NotEqual(0, c.Length));
    }

    /// <summary>The clip as the issue has it, and what becomes of it in short sequences.</summary>
    [Theory]
    [InlineData(512, 2, 128)]
    [InlineData(1024, 4, 256)]
    [InlineData(2048, 8, 400)]
    [InlineData(8192, 8, 400)]
    public void The_Clip_Fills_The_Sequence(int length, int frames, int transcript)
    {
        ClipRoles roles = new(length);
        Assert.Equal(length, roles.Modality.Length);
        Assert.Equal((frames, transcript), (roles.FrameCount, roles.TranscriptLength));
        Assert.Equal(transcript, roles.Spoken.Length);
        Assert.Equal(frames / 2 * 299, roles.Modality.Count(m => m == (byte)Modality.Visual));
        Assert.Equal(0b1111, roles.Speakers.Aggregate((a, b) => a | b));
        Assert.All(roles.Aligned, runs => Assert.NotEmpty(runs));
        Assert.Equal(roles.Boxed.Length, roles.BoxedRuns.Sum(run => run.End - run.First));
    }

    private static async Task<(int Code, string Output, string Error)> Invoke(params string[] arguments)
    {
        StringWriter output = new(), error = new();
        int code = await BenchTool.InvokeAsync(arguments, output, error);
        return (code, output.ToString(), error.ToString());
    }
}
