using AttentionKernels.Cuda;
using AttentionKernels.Tests.PtxEmulator;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>What a call of the CUDA engine asks the driver for, what it allocates, what it refuses, and what the emulator would see if kernels were wrong. Nothing here runs on a device.</summary>
[Collection(CudaCollection.Name)]
public sealed unsafe class AttentionCudaCallTests(StubDriver stub)
{
    /// <summary>A plain call, and a decode step among them, asks for nothing that cannot be captured into a graph; a steered one for one copy beside.</summary>
    [Theory]
    [InlineData(1, RoleMode.None, "push launch launch pop")]
    [InlineData(40, RoleMode.None, "push launch pop")]
    [InlineData(40, RoleMode.Self, "push capturing relax alloc event copy record launch launch launch launch pop")]
    public void A_Run_Asks_The_Driver_For_No_More_Than_It_Must(int rows, RoleMode roles, string expected)
    {
        CaseSpec spec = new() { S = rows, T = 200, D = 64, Dv = 64, Type = ElementType.Float16, Roles = roles, Layout = LayoutMode.HeadsFirst, Lambda = -1, Seed = 4 };
        using AttentionCase c = new(spec, nameof(A_Run_Asks_The_Driver_For_No_More_Than_It_Must));
        using EmulatedDevice device = new(stub);
        int before = stub.Calls.Length;
        device.Run(c);
        Dictionary<string, string> names = new()
        {
            ["cuCtxPushCurrent"] = "push",
            ["cuCtxPopCurrent"] = "pop",
            ["cuLaunchKernel"] = "launch",
            ["cuStreamIsCapturing"] = "capturing",
            ["cuThreadExchangeStreamCaptureMode"] = "relax",
            ["cuMemHostAlloc"] = "alloc",
            ["cuEventCreate"] = "event",
            ["cuMemcpyHtoDAsync"] = "copy",
            ["cuEventRecord"] = "record",
            ["cuMemsetD8Async"] = "clear",
        };
        string[] calls = [.. stub.CallNames[before..].Select(name => names[name])];
        Assert.Equal(expected.Split(' ').Distinct(), calls.Distinct());
        Assert.Equal(roles == RoleMode.None ? 0 : 1, calls.Count(name => name == "copy"));
    }

    /// <summary>A device of compute capability 8.6 or 8.9 has no shared memory for the kernel of few rows of 128 elements: another one takes them.</summary>
    [Fact]
    public void Few_Rows_Of_A_Device_With_Less_Shared_Memory_Meet_The_Reference() => Properties.ForAll(12, spec =>
    {
        using AttentionCase c = new(spec, nameof(Few_Rows_Of_A_Device_With_Less_Shared_Memory_Meet_The_Reference));
        using EmulatedDevice device = new(stub, new PtxOptions { Workers = 2, Architecture = 86 });
        c.ClearResults();
        device.Run(c);
        Assert.Equal(spec.D == 96, device.Launched.Contains("Decode"));
        CudaTolerance.Check(c);
    }, 0x86, spec => spec with
    {
        B = Math.Min(spec.B, 2),
        Kv = 1,
        S = 1 + (spec.Seed % 4),
        T = Math.Clamp(spec.T, 4, 200),
        D = spec.Seed % 2 == 0 ? 128 : 96,
        Dv = spec.Seed % 2 == 0 ? 128 : 96,
        Type = spec.Seed / 4 % 2 == 0 ? ElementType.Float16 : ElementType.BFloat16,
        Layout = LayoutMode.RowsFirst,
        Roles = RoleMode.None,
    });

    /// <summary>One launch gives the scores of all speakers, but for rows that share keys with several: their row blocks are computed once more for each.</summary>
    [Theory]
    [InlineData(1, "ScoresOnly HeadScores SpeakerScores")]
    [InlineData(3, "ScoresOnly HeadScores ScoresOnly ScoresOnly ScoresOnly SpeakerScores")]
    public void Utterances_Of_Several_Speakers_Are_Scored_Once_More_For_Each(int together, string expected)
    {
        CaseSpec spec = new() { B = 2, S = 140, T = 140, D = 64, Dv = 64, Type = ElementType.Float16, Roles = RoleMode.Self, Speakers = 4, Causal = true, Seed = 4 };
        using AttentionCase c = new(spec, nameof(Utterances_Of_Several_Speakers_Are_Scored_Once_More_For_Each), scoresOnly: true);
        for (int t = 0; t < spec.B * spec.T; t++)
        {
            // Boxes of one speaker each, then words: in the first element those of the first row block are of several.
            bool several = t is >= 40 and < 60;
            c.Bias.Keys.Modality[t] = (byte)(t % spec.T < 40 ? Modality.Visual : Modality.Text);
            c.Bias.Keys.Speakers[t] = several ? (1L << together) - 1 : 1L << (t / 7 % 4);
            (c.Bias.Keys.Frames[2 * t], c.Bias.Keys.Frames[(2 * t) + 1]) = (0, 4);
        }
        using EmulatedDevice device = new(stub);
        c.ClearResults();
        device.Run(c);
        CudaTolerance.Check(c);
        Assert.Equal(expected, string.Join(' ', device.Launched));
        string[] grids = [.. stub.Calls.Where(call => call.StartsWith("cuLaunchKernel ScoresOnly", StringComparison.Ordinal)).Select(call => call.Split(' ')[3])];
        // All row blocks with words first, then the one with words of several.
        Assert.Equal([$"4,{spec.H},1", .. Enumerable.Repeat($"1,{spec.H},1", grids.Length - 1)], grids);
    }

    /// <summary>Without a barrier, or without what puts the lanes of a warp in order, a kernel is stopped: the emulator sees such faults, and the committed kernels have none.</summary>
    [Theory]
    [InlineData("bar.warp.sync", 1, RoleMode.None, "Decode")]
    [InlineData("bar.warp.sync", 40, RoleMode.None, "PrefillPlain")]
    [InlineData("bar.warp.sync", 40, RoleMode.Self, "PrefillClasses")]
    [InlineData("bar.sync", 1, RoleMode.None, "Decode")]
    [InlineData("bar.sync", 40, RoleMode.None, "PrefillPlain")]
    [InlineData("bar.sync", 40, RoleMode.Self, "PrefillClasses")]
    public void A_Kernel_Without_Its_Synchronisation_Is_Stopped(string instruction, int rows, RoleMode roles, string kernel)
    {
        CaseSpec spec = new() { S = rows, T = 200, D = 64, Dv = 64, Type = ElementType.Float16, Roles = roles, Lambda = -1, Seed = 4 };
        using AttentionCase c = new(spec, nameof(A_Kernel_Without_Its_Synchronisation_Is_Stopped));
        using EmulatedDevice device = new(stub, change: text => text.Replace($"\t{instruction}", "\t//", StringComparison.Ordinal));
        InvalidOperationException e = Assert.Throws<InvalidOperationException>(() => device.Run(c));
        Assert.IsType<PtxException>(e.InnerException);
        Assert.Equal(kernel, device.Launched[^1]);
    }

    /// <summary>Memory that the garbage collector manages would be allocated in each layer of each step.</summary>
    [Fact]
    public void A_Run_Allocates_Nothing()
    {
        CaseSpec spec = new() { S = 40, T = 90, D = 64, Dv = 64, Type = ElementType.Float16, Roles = RoleMode.Self, Lambda = -1, Seed = 4 };
        using AttentionCase c = new(spec, nameof(A_Run_Allocates_Nothing));
        stub.Reset();
        CudaContext context = new(new CudaDriver(stub.Path), 0, KernelManifest.Embedded);
        context.Load(KernelManifest.Embedded.Entries);
        CudaCall call = new() { Problem = c.Problem, Bias = c.Bias };
        call.Bias.SpeakerScores = null;
        call.Bias.SpeakerCount = 0;
        using GuardedBuffer scratch = new(1 << 22);
        long allocated = 0;
        for (int i = 0; i < 3; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            CudaQueue queue = new(context, null);
            AttentionCuda.Run(ref queue, call, scratch.Data, (nuint)scratch.Bytes);
            queue.Dispose();
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }
        Assert.Equal(0, allocated);
    }

    [Fact]
    public void Wrong_Calls_Are_Named()
    {
        CaseSpec spec = new() { S = 8, T = 9, D = 8, Dv = 8, Roles = RoleMode.Self, Lengths = true };
        using AttentionCase c = new(spec, nameof(Wrong_Calls_Are_Named));
        SocialBias bias = c.Bias with { SpeakerScores = null, SpeakerCount = 0 };
        Assert.Equal(
            "KeyLengths are on the device and there are roles, expected HostKeyLengths",
            Assert.Throws<ArgumentException>(() => new CudaCall { Problem = c.Problem, Bias = bias }.Validate()).Message);
        float scores = 0;
        SocialBias speakers = bias with { SpeakerScores = &scores, SpeakerCount = 1 };
        CudaCall call = new() { Problem = c.Problem, Bias = speakers, HostKeyLengths = c.Problem.KeyLengths, HostQueryOffsets = c.Problem.QueryOffsets };
        Assert.Contains("SpeakerScores and Value are given", Assert.Throws<ArgumentException>(call.Validate).Message, StringComparison.Ordinal);

        int far = 1 << 29;
        call = new() { Problem = c.Problem with { Batch = 1 }, HostQueryOffsets = &far };
        Assert.Contains("QueryOffsets[0] is 536870912", Assert.Throws<ArgumentException>(call.Validate).Message, StringComparison.Ordinal);
        call.HostQueryOffsets = null;
        call.Problem.KeyLength = far;
        Assert.Contains("KeyLength, QueryLength are 536870912, 8", Assert.Throws<ArgumentException>(call.Validate).Message, StringComparison.Ordinal);
    }
}
