using AttentionKernels.Cuda;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>No kernel of the manifest is only a name: a call that the engine answers with it meets the reference.</summary>
[Collection(CudaCollection.Name)]
public sealed unsafe class EveryKernelTests(StubDriver stub)
{
    public static TheoryData<string> Names { get; } = [.. KernelManifest.Embedded.Entries.Select(kernel => kernel.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_Kernel_Of_The_Manifest_Runs_And_Meets_The_Reference(string name)
    {
        KernelEntry kernel = KernelManifest.Embedded.Entries.Single(entry => entry.Name == name);
        // A size for tensor cores where the kernel is theirs or comes after one of them.
        int size = kernel.HeadSize != 0 ? kernel.HeadSize : kernel.Kernel is "PrefillSimt" || kernel.Type == ElementType.Float32 ? 24 : 64;
        CaseSpec spec = new() { Group = 2, S = 40, T = 70, D = size, Dv = size, Type = kernel.Type ?? ElementType.BFloat16, Causal = true, Sink = true, Lambda = -1, Seed = size };
        spec = kernel.Kernel switch
        {
            "PrefillPlain" => spec,
            "PrefillSimt" when kernel.Variant == "plain" => spec,
            "PrefillClasses" or "PrefillSimt" or "ScoresOnly" or "HeadScores" or "SocialBias" or "SpeakerScores" => spec with { Roles = RoleMode.Cross },
            "PrefillOptions" => spec with { Roles = RoleMode.Cross, Softcap = 5, Bias = true },
            "Decode" or "DecodeCombine" => spec with { S = 2 },
            "AppendKeyValue" => spec with { S = 70 },
            "MaskBias" => spec,
            _ => throw new NotSupportedException($"say which call runs {kernel.Kernel}"),
        };
        using AttentionCase c = new(spec, nameof(Every_Kernel_Of_The_Manifest_Runs_And_Meets_The_Reference), scoresOnly: kernel.Kernel is "ScoresOnly" or "SpeakerScores");
        if (spec.Roles == RoleMode.Cross)
        {
            PrefillClassesKernelTests.SetRoles(c, "far apart");
        }
        using EmulatedDevice device = new(stub);
        c.ClearResults();
        switch (kernel.Kernel)
        {
            case "AppendKeyValue": Append(c, device); break;
            case "MaskBias": Mask(c, device); break;
            default: device.Run(c); break;
        }
        CudaTolerance.Check(c);
        string[] launched = [.. stub.Calls.Where(call => call.StartsWith("cuLaunchKernel", StringComparison.Ordinal)).Select(call => call.Split(' ')[1])];
        Assert.Contains(name, launched);
    }

    /// <summary>A mask hides what the causal one hides anyway.</summary>
    private static void Mask(AttentionCase c, EmulatedDevice device)
    {
        int rows = c.Spec.S, keys = c.Spec.T;
        using GuardedBuffer mask = GuardedBuffer.Of<byte>([.. Enumerable.Range(0, rows * keys).Select(n => (byte)(n % keys <= keys - rows + (n / keys) ? 1 : 0))]);
        using GuardedBuffer bias = new((long)rows * keys * c.Spec.Type.Size());
        CudaCall call = new()
        {
            Problem = c.Problem with { Bias = new TensorView(bias.Data, c.Spec.Type, 0, 0, keys) },
            Mask = new CudaMask { Data = mask.Data, ElementBytes = 1, RowStride = keys, Batch = 1, Heads = 1, Rows = rows, Keys = keys, Filter = float.NegativeInfinity },
        };
        device.Run(c, call, ("mask", mask, false), ("bias made of it", bias, true));
    }

    /// <summary>All keys and values are new, and go to the cache first.</summary>
    private static void Append(AttentionCase c, EmulatedDevice device)
    {
        AttentionProblem p = c.Problem;
        using GuardedBuffer key = new((long)c.Spec.Kv * c.Spec.T * c.Spec.D * c.Spec.Type.Size()), value = new(key.Bytes);
        CudaCall call = new()
        {
            Problem = p with
            {
                Key = TensorView.Bhsd(key.Data, c.Spec.Type, c.Spec.Kv, c.Spec.T, c.Spec.D),
                Value = TensorView.Bhsd(value.Data, c.Spec.Type, c.Spec.Kv, c.Spec.T, c.Spec.D),
            },
            Append = new CudaAppend
            {
                Query = p.Query,
                Key = p.Key,
                Value = p.Value,
                NewKeys = c.Spec.T,
                PresentKey = key.Data,
                PresentValue = value.Data,
                PresentLength = c.Spec.T,
            },
        };
        device.Run(c, call, ("present key", key, true), ("present value", value, true));
    }
}
