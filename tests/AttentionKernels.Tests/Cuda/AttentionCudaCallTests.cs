using AttentionKernels.Cuda;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>What a call of the CUDA engine asks the driver for, what it allocates, and what it refuses. About the host alone: nothing here runs on a device.</summary>
[Collection(CudaCollection.Name)]
public sealed unsafe class AttentionCudaCallTests(StubDriver stub)
{
    /// <summary>A plain call, and a decode step among them, asks for nothing that cannot be captured into a graph; a steered one for one copy beside.</summary>
    [Theory]
    [InlineData(1, RoleMode.None, "push launch launch pop")]
    [InlineData(40, RoleMode.None, "push launch pop")]
    [InlineData(40, RoleMode.Self, "push capturing alloc event copy record launch launch launch launch pop")]
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
        Assert.Contains("no scores by speaker", Assert.Throws<ArgumentException>(call.Validate).Message, StringComparison.Ordinal);

        int far = 1 << 29;
        call = new() { Problem = c.Problem with { Batch = 1 }, HostQueryOffsets = &far };
        Assert.Contains("QueryOffsets[0] is 536870912", Assert.Throws<ArgumentException>(call.Validate).Message, StringComparison.Ordinal);
        call.HostQueryOffsets = null;
        call.Problem.KeyLength = far;
        Assert.Contains("KeyLength, QueryLength are 536870912, 8", Assert.Throws<ArgumentException>(call.Validate).Message, StringComparison.Ordinal);
    }
}
