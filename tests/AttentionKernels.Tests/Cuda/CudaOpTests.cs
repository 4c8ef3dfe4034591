using System.Runtime.InteropServices;
using AttentionKernels.Cuda;
using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.OnnxRuntime.Ops;
using AttentionKernels.OnnxRuntime.Steering;
using AttentionKernels.Tests.OnnxRuntime.Ops;

namespace AttentionKernels.Tests.Cuda;

/// <summary>Operators on the CUDA provider: what they tell ONNX Runtime, and what their kernels ask of the driver.</summary>
[Collection(CudaCollection.Name)]
public sealed unsafe class CudaOpTests : IDisposable
{
    private const string Domain = "test.cuda";

    /// <summary>All operators of the CUDA provider, offered to the CPU provider.</summary>
    internal static readonly Lazy<OrtDomain> Library = new(() => new OrtDomain(
        OrtApi.Default, Domain, AttentionKernelsOps.Ops.Concat(OverrideDomains.OpsOf(AttentionOverrides.All)).Where(op => op.Provider == OnnxProvider.Cuda).Select(op => new OnProcessor(op))));

    private readonly StubDriver _stub;

    public CudaOpTests(StubDriver stub)
    {
        _stub = stub;
        _stub.Reset();
        Environment.SetEnvironmentVariable(CudaDriver.Variable, stub.Path);
    }

    public void Dispose() => Environment.SetEnvironmentVariable(CudaDriver.Variable, null);

    [Fact]
    public void Every_Operator_Is_There_For_Both_Providers_With_The_Same_Schema()
    {
        CustomOp[] ops = [.. AttentionKernelsOps.Ops, .. OverrideDomains.OpsOf(AttentionOverrides.All)];
        Assert.Equal(Schemas(OnnxProvider.Cpu), Schemas(OnnxProvider.Cuda));

        IEnumerable<string> Schemas(OnnxProvider provider) => ops.Where(op => op.Provider == provider)
            .Select(op => $"{op.Name}({string.Join(", ", op.Inputs)}) -> ({string.Join(", ", op.Outputs)})");
    }

    /// <summary>What ONNX Runtime reads: the provider's name, and which inputs it is to bring to the processor's memory.</summary>
    [Fact]
    public void Descriptors_Name_The_Provider_And_The_Inputs_That_The_Host_Reads()
    {
        foreach (CustomOp op in AttentionKernelsOps.Ops.Concat(OverrideDomains.OpsOf(AttentionOverrides.All)))
        {
            OrtCustomOp* native = CustomOpDescriptor.Create(OrtApi.Default, op);
            string? provider = Marshal.PtrToStringUTF8((nint)native->GetExecutionProviderType(native));
            Assert.Equal(op.Provider == OnnxProvider.Cuda ? "CUDAExecutionProvider" : null, provider);
            for (int i = 0; i < op.Inputs.Count; i++)
            {
                bool onHost = op.Inputs[i].Name switch
                {
                    "total_sequence_length" or "past_sequence_length" or "nonpad_kv_seqlen" => true,
                    // Where roles are, the host must know lengths. Without them they stay on the device, for graphs.
                    "seqlens_k" => op.Name != "GroupQueryAttention",
                    string name => name.EndsWith("_modality", StringComparison.Ordinal) || name.EndsWith("_speakers", StringComparison.Ordinal) || name.EndsWith("_frames", StringComparison.Ordinal),
                };
                Assert.True(native->GetInputMemoryType(native, (nuint)i) == (onHost ? -2 : 0), $"{op.Name} {op.Inputs[i].Name}");
            }
        }
    }

    [Fact]
    public void Without_A_Driver_The_Session_Says_So_And_Names_The_Node()
    {
        Environment.SetEnvironmentVariable(CudaDriver.Variable, "/nowhere/libcuda.so.1");
        using OpNode node = Prompt();
        OrtException e = Assert.Throws<OrtException>(node.CreateSession);
        Assert.Contains("GroupQueryAttention node 'node0': no CUDA driver (/nowhere/libcuda.so.1) on this machine", e.Message, StringComparison.Ordinal);
    }

    /// <summary>Kernels of the node's type and head size are loaded with the session; runs load nothing.</summary>
    [Fact]
    public void Kernels_Are_Loaded_When_The_Session_Is_Made()
    {
        using OpNode node = Prompt();
        using OrtSession session = node.CreateSession();
        _stub.Reset();
        node.Run(session);
        Assert.DoesNotContain(_stub.CallNames, name => name.StartsWith("cuModule", StringComparison.Ordinal) || name.StartsWith("cuFunc", StringComparison.Ordinal));
    }

    [Fact]
    public void A_Prompt_Goes_Into_The_Stream_Without_A_Copy()
    {
        using OpNode node = Prompt();
        Assert.Equal(["AppendKeyValue_f16", "PrefillPlain_f16_64"], Launches(node));
        Assert.DoesNotContain(_stub.CallNames, name => name is "cuMemcpyHtoDAsync" or "cuMemcpyDtoHAsync" or "cuMemHostAlloc");
    }

    [Fact]
    public void A_Decode_Step_Goes_Into_The_Stream_Without_A_Copy()
    {
        using OpNode node = Decode();
        Assert.Equal(["AppendKeyValue_f16", "Decode_f16_64", "DecodeCombine_f16"], Launches(node));
        Assert.DoesNotContain(_stub.CallNames, name => name is "cuMemcpyHtoDAsync" or "cuMemcpyDtoHAsync" or "cuMemHostAlloc");
    }

    /// <summary>A scope steers the same node, and its scores arrive when they are read.</summary>
    [Fact]
    public void A_Scope_Steers_On_The_Device()
    {
        using OpNode node = Prompt();
        using OrtSession session = node.CreateSession();
        _stub.Reset();
        using SteeringScope scope = new(Speech(24));
        node.Run(session);
        string[] launched = [.. _stub.Calls.Where(call => call.StartsWith("cuLaunchKernel", StringComparison.Ordinal)).Select(call => call.Split(' ')[1])];
        Assert.Equal(["AppendKeyValue_f16", "PrefillClasses_f16_64", "HeadScores", "SocialBias_f16"], launched);
        Assert.DoesNotContain("cuEventSynchronize", _stub.CallNames);
        Assert.Equal(4, Assert.Single(scope.Read()).Heads);
        Assert.Contains("cuMemcpyDtoHAsync", _stub.CallNames);
        Assert.Contains("cuEventSynchronize", _stub.CallNames);
    }

    [Fact]
    public void Every_Operator_Runs()
    {
        using OpNode steered = new()
        {
            Op = "SteeredAttention",
            Domain = Domain,
            Library = Library.Value,
            Outputs = ["output", "", "", "head_scores", "alignment"],
            OutputType = OnnxElementType.Float16,
            Attributes = new() { ["num_heads"] = 4L, ["kv_num_heads"] = 2L },
        };
        float[] query = new float[24 * 256], key = new float[24 * 128];
        steered.Add(ElementType.Float16, query, 1, 24, 256).Add(ElementType.Float16, key, 1, 24, 128).Add(ElementType.Float16, key, 1, 24, 128).Skip(9);
        AddRoles(steered, 24);
        Assert.Equal(["PrefillClasses_f16_64", "HeadScores", "SocialBias_f16"], Launches(steered));

        using OpNode scores = new()
        {
            Op = "CrossModalHeadScores",
            Domain = Domain,
            Library = Library.Value,
            Outputs = ["head_scores"],
            Attributes = new() { ["num_heads"] = 4L, ["kv_num_heads"] = 2L, ["num_speakers"] = 2L },
        };
        scores.Add(query, 1, 24, 256).Add(key, 1, 24, 128).Skip(3);
        AddRoles(scores, 24);
        Assert.Equal(["PrefillSimt_f32_classes", "HeadScores"], Launches(scores));

        using OpNode multiHead = new() { Op = "MultiHeadAttention", Domain = Domain, Library = Library.Value, Outputs = ["output"], OutputType = OnnxElementType.Float16, Attributes = new() { ["num_heads"] = 4L } };
        multiHead.Add(ElementType.Float16, query, 1, 24, 256).Add(ElementType.Float16, query, 1, 24, 256).Add(ElementType.Float16, query, 1, 24, 256);
        Assert.Equal(["PrefillPlain_f16_64"], Launches(multiHead));

        using OpNode attention = new() { Op = "Attention", Domain = Domain, Library = Library.Value, Outputs = ["Y"], Opset = 23 };
        attention.Add(query, 1, 4, 24, 64).Add(key, 1, 2, 24, 64).Add(key, 1, 2, 24, 64).Add(new float[24 * 24], 24, 24);
        Assert.Equal(["PrefillSimt_f32_plain"], Launches(attention));
    }

    [Fact]
    public void An_Error_Of_The_Driver_Is_The_Runs_Error()
    {
        using OpNode node = Decode();
        using OrtSession session = node.CreateSession();
        _stub.Fail("cuLaunchKernel", 2, 719);
        OrtException e = Assert.Throws<OrtException>(() => node.Run(session));
        Assert.Contains("cuLaunchKernel failed with CUDA_ERROR_LAUNCH_FAILED (719): unspecified launch failure", e.Message, StringComparison.Ordinal);
        Assert.Equal(0, _stub.Depth);
    }

    public static TheoryData<string, string> Refusals => new()
    {
        { "GroupQueryAttention", "GroupQueryAttention node 'node0': output 'output_qk' is listed, expected none: no kernel here writes an S x T matrix; " },
        { "MultiHeadAttention", "MultiHeadAttention node 'node0': output 'qk' is listed, expected none: no kernel here writes an S x T matrix; " },
        { "Attention", "Attention node 'node0': output 'qk_matmul_output' is listed, expected none: no kernel here writes an S x T matrix; " },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public void What_The_Device_Cannot_Do_Is_Refused_When_The_Session_Is_Made(string op, string message)
    {
        float[] query = new float[24 * 256], key = new float[24 * 128];
        using OpNode node = op switch
        {
            "GroupQueryAttention" => Prompt(qk: true),
            "Attention" => Node(op, "Y,,,qk_matmul_output").Add(ElementType.Float16, query, 1, 4, 24, 64).Add(ElementType.Float16, key, 1, 2, 24, 64).Add(ElementType.Float16, key, 1, 2, 24, 64),
            _ => Node(op, "output,,,qk").Add(ElementType.Float16, query, 1, 24, 256).Add(ElementType.Float16, query, 1, 24, 256).Add(ElementType.Float16, query, 1, 24, 256),
        };
        string told = Assert.Throws<OrtException>(node.CreateSession).Message;
        Assert.Contains(message, told, StringComparison.Ordinal);
        Assert.Contains("head_scores", told, StringComparison.Ordinal);
        Assert.Contains("CPUExecutionProvider", told, StringComparison.Ordinal);
    }

    /// <summary>A filter that does not hide cannot be a length.</summary>
    [Fact]
    public void Lengths_With_A_Weak_Filter_Are_Refused()
    {
        float[] tokens = new float[24 * 256];
        using OpNode node = Node("MultiHeadAttention", "output").Add(ElementType.Float16, tokens, 1, 24, 256).Add(ElementType.Float16, tokens, 1, 24, 256).Add(ElementType.Float16, tokens, 1, 24, 256)
            .Skip().Add<int>([20], 1);
        node.Attributes["mask_filter_value"] = -5f;
        Assert.Contains("attribute 'mask_filter_value' is -5, expected -10000 or less", Assert.Throws<OrtException>(() => node.Run()).Message, StringComparison.Ordinal);
    }

    public static TheoryData<string, string> PlainCalls => new()
    {
        { "GroupQueryAttention", "AppendKeyValue_f16 Decode_f16_64 DecodeCombine_f16" },
        { "SteeredAttention", "AppendKeyValue_f16 Decode_f16_64 DecodeCombine_f16" },
        { "bias", "AppendKeyValue_f16 Decode_f16_64 DecodeCombine_f16" },
        { "lengths", "Decode_f16_64 DecodeCombine_f16" },
        { "keys", "MaskBias_f16 Decode_f16_64 DecodeCombine_f16" },
        { "cross", "PrefillPlain_f16_64" },
        { "Attention", "AppendKeyValue_f16 MaskBias_f16 Decode_f16_64 DecodeCombine_f16" },
    };

    /// <summary>Decode steps and other plain calls, with whatever must be converted for them: nothing is uploaded, so that a graph may have them. Of Attention it takes one row behind a past.</summary>
    [Theory]
    [MemberData(nameof(PlainCalls))]
    public void Calls_Without_Rows_Of_U_Can_Be_Captured(string what, string launched)
    {
        float[] one = new float[256], two = new float[128], past = new float[2 * 40 * 64], many = new float[24 * 256];
        using OpNode node = what switch
        {
            "GroupQueryAttention" => Decode().Skip(4).Add(ElementType.Float16, new float[4], 4),
            "SteeredAttention" => Node(what, "output,present_key,present_value,head_scores").Add(ElementType.Float16, one, 1, 1, 256).Add(ElementType.Float16, two, 1, 1, 128)
                .Add(ElementType.Float16, two, 1, 1, 128).Add(ElementType.Float16, past, 1, 2, 40, 64).Add(ElementType.Float16, past, 1, 2, 40, 64).Add<int>([40], 1).Add<int>([41], 1).Skip(4)
                .Add(ElementType.Float16, new float[4], 4),
            "Attention" => Node(what, "Y,present_key,present_value").Add(ElementType.Float16, one, 1, 4, 1, 64).Add(ElementType.Float16, two, 1, 2, 1, 64)
                .Add(ElementType.Float16, two, 1, 2, 1, 64).Add(new bool[41], 1, 41).Add(ElementType.Float16, past, 1, 2, 40, 64).Add(ElementType.Float16, past, 1, 2, 40, 64),
            _ => MultiHead(),
        };
        node.Attributes["mask_filter_value"] = -10000f;
        if (what == "SteeredAttention")
        {
            // Words of somebody, then one that the model made: it is not in U.
            node.Add([.. Enumerable.Range(0, 41).Select(t => (byte)(t < 8 ? 1 : t < 40 ? 0 : 4))], 1, 41).Add([.. Enumerable.Repeat(1L, 41)], 1, 41).Add([.. Enumerable.Range(0, 82).Select(n => n % 2 * 4)], 1, 41, 2);
        }
        using OrtSession session = node.CreateSession();
        _stub.Reset();
        _stub.Set("capturing", 1);
        node.Run(session);
        Assert.Equal(launched, string.Join(' ', _stub.Calls.Where(call => call.StartsWith("cuLaunchKernel", StringComparison.Ordinal)).Select(call => call.Split(' ')[1])));
        Assert.DoesNotContain("cuMemcpyHtoDAsync", _stub.CallNames);

        OpNode MultiHead()
        {
            (float[] query, int rows) = what == "cross" ? (new float[20 * 256], 20) : (one, 1);
            OpNode multi = Node("MultiHeadAttention", "output").Add(ElementType.Float16, query, 1, rows, 256).Add(ElementType.Float16, many, 1, 24, 256).Add(ElementType.Float16, many, 1, 24, 256);
            return what switch
            {
                "bias" => multi.Add(ElementType.Float16, new float[768], 768),
                "lengths" => multi.Skip().Add<int>([20], 1),
                "keys" => multi.Skip().Add(new int[24], 1, 24),
                _ => multi,
            };
        }
    }

    /// <summary>Rows of U need a plan, which cannot be captured: an error, and no graph that copies old memory.</summary>
    [Theory]
    [InlineData("SteeredAttention")]
    [InlineData("CrossModalHeadScores")]
    [InlineData("scope")]
    public void Calls_With_Rows_Of_U_Refuse_To_Be_Captured(string what)
    {
        using OpNode node = what == "scope" ? Prompt() : Node(what, what == "SteeredAttention" ? "output" : "head_scores,speaker_scores");
        if (what != "scope")
        {
            node.Add(ElementType.Float16, new float[24 * 256], 1, 24, 256).Add(ElementType.Float16, new float[24 * 128], 1, 24, 128);
            _ = what == "SteeredAttention" ? node.Add(ElementType.Float16, new float[24 * 128], 1, 24, 128).Skip(9) : node.Skip(3);
            AddRoles(node, 24);
        }
        using OrtSession session = node.CreateSession();
        _stub.Reset();
        _stub.Set("capturing", 1);
        using SteeringScope? scope = what == "scope" ? new(Speech(24)) : null;
        Assert.Contains("cannot be captured into a CUDA graph", Assert.Throws<OrtException>(() => node.Run(session)).Message, StringComparison.Ordinal);
        Assert.Equal(0, _stub.Depth);
    }

    /// <summary>Rows behind all tokens with a role are nobody's, wherever the elements of a batch end; rows among them are refused.</summary>
    [Theory]
    [InlineData(40, false)]
    [InlineData(41, true)]
    public void A_Scope_Takes_A_Batch_Of_Decode_Steps_And_Says_What_To_Do_With_Chunks(int tokens, bool isRefused)
    {
        using OpNode node = GroupQuery(false)
            .Add(ElementType.Float16, new float[512], 2, 1, 256).Add(ElementType.Float16, new float[256], 2, 1, 128).Add(ElementType.Float16, new float[256], 2, 1, 128)
            .Add(ElementType.Float16, new float[4 * 64 * 64], 2, 2, 64, 64).Add(ElementType.Float16, new float[4 * 64 * 64], 2, 2, 64, 64).Add<int>([40, 30], 2).Add<int>([41], 1);
        using OrtSession session = node.CreateSession();
        SteeringRoles roles = new(2, new byte[2 * tokens], [.. Enumerable.Repeat(1L, 2 * tokens)], new int[4 * tokens]);
        using SteeringScope scope = new(roles, new SteeringScopeSettings { Growing = true });
        _stub.Reset();
        if (isRefused)
        {
            string told = Assert.Throws<OrtException>(() => node.Run(session)).Message;
            Assert.Contains("1 rows behind 40 others, some of them among the 41 tokens", told, StringComparison.Ordinal);
            Assert.Contains("run prompts whole, or their chunks one element at a time", told, StringComparison.Ordinal);
            return;
        }
        node.Run(session);
        Assert.Equal(["AppendKeyValue_f16", "Decode_f16_64", "DecodeCombine_f16"], _stub.Calls.Where(call => call.StartsWith("cuLaunchKernel", StringComparison.Ordinal)).Select(call => call.Split(' ')[1]));
        Assert.Equal(4, Assert.Single(scope.Read()).Heads);
    }

    private static OpNode Node(string op, string outputs) => new()
    {
        Op = op,
        Domain = Domain,
        Library = Library.Value,
        Outputs = outputs.Split(','),
        OutputType = OnnxElementType.Float16,
        Attributes = op == "Attention" ? [] : new() { ["num_heads"] = 4L, ["kv_num_heads"] = 2L, ["num_speakers"] = 2L },
    };

    /// <summary>A prompt of 24 tokens, 4 heads of 64 that share 2.</summary>
    private static OpNode Prompt(bool qk = false)
    {
        OpNode node = GroupQuery(qk);
        return node.Add(ElementType.Float16, new float[24 * 256], 1, 24, 256).Add(ElementType.Float16, new float[24 * 128], 1, 24, 128).Add(ElementType.Float16, new float[24 * 128], 1, 24, 128)
            .Skip(2).Add<int>([23], 1).Add<int>([24], 1);
    }

    /// <summary>The token after 40 others, in a cache for 64.</summary>
    private static OpNode Decode() => GroupQuery(false)
        .Add(ElementType.Float16, new float[256], 1, 1, 256).Add(ElementType.Float16, new float[128], 1, 1, 128).Add(ElementType.Float16, new float[128], 1, 1, 128)
        .Add(ElementType.Float16, new float[2 * 64 * 64], 1, 2, 64, 64).Add(ElementType.Float16, new float[2 * 64 * 64], 1, 2, 64, 64).Add<int>([40], 1).Add<int>([41], 1);

    private static OpNode GroupQuery(bool qk) => new()
    {
        Op = "GroupQueryAttention",
        Domain = Domain,
        Library = Library.Value,
        Outputs = qk ? ["output", "present_key", "present_value", "output_qk"] : ["output", "present_key", "present_value"],
        OutputType = OnnxElementType.Float16,
        Attributes = new() { ["num_heads"] = 4L, ["kv_num_heads"] = 2L, ["qk_output"] = qk ? 1L : 0L },
    };

    /// <summary>Tokens of two speakers: eight boxes, then words.</summary>
    private static void AddRoles(OpNode node, int tokens)
    {
        byte[] modality = [.. Enumerable.Range(0, tokens).Select(t => (byte)(t < 8 ? 1 : 0))];
        long[] speakers = [.. Enumerable.Range(0, tokens).Select(t => 1L << (t % 2))];
        int[] frames = [.. Enumerable.Range(0, tokens).SelectMany(_ => new[] { 0, 4 })];
        node.Add(modality, 1, tokens).Add(speakers, 1, tokens).Add(frames, 1, tokens, 2);
    }

    private static SteeringRoles Speech(int tokens) => new(
        1,
        [.. Enumerable.Range(0, tokens).Select(t => (byte)(t < 8 ? 1 : 0))],
        [.. Enumerable.Range(0, tokens).Select(t => 1L << (t % 2))],
        [.. Enumerable.Range(0, tokens).SelectMany(_ => new[] { 0, 4 })]);

    /// <summary>Names of the kernels that one run launches.</summary>
    private string[] Launches(OpNode node)
    {
        using OrtSession session = node.CreateSession();
        _stub.Reset();
        node.Run(session);
        Assert.Equal(0, _stub.Depth);
        return [.. _stub.Calls.Where(call => call.StartsWith("cuLaunchKernel", StringComparison.Ordinal)).Select(call => call.Split(' ')[1])];
    }
}
