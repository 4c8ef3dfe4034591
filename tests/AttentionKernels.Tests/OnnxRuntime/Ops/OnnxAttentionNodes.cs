using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.OnnxRuntime.Ops;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>Small ai.onnx Attention nodes on our kernel, for tests that change one thing: B = 2, H = 4, K = 2, S = 3, D = 4, Dv = 6.</summary>
internal static class OnnxAttentionNodes
{
    private static readonly Lazy<OrtDomain> Domain = new(() => new OrtDomain(OrtApi.Default, "", OnnxAttentionOp.Overloads));

    /// <summary>The operator in the empty domain.</summary>
    public static OrtDomain Library => Domain.Value;

    /// <summary>Inputs of 3 dimensions, 3 new keys behind 5 past ones, an additive mask [1, H, S, T], every output but lengths.</summary>
    public static OpNode WithPast()
    {
        OpNode node = Node(23, "Y", "present_key", "present_value", "qk_matmul_output");
        node.Attributes["q_num_heads"] = 4L;
        node.Attributes["kv_num_heads"] = 2L;
        node.Attributes["qk_matmul_output_mode"] = 2L;
        node.Attributes["scale"] = 0.7f;
        node.Attributes["softcap"] = 20f;
        node.Attributes["is_causal"] = 1L;
        return node
            .Add(Wave(2 * 3 * 16, 1), 2, 3, 16)
            .Add(Wave(2 * 3 * 8, 2), 2, 3, 8)
            .Add(Wave(2 * 3 * 12, 3), 2, 3, 12)
            .Add(Wave(4 * 3 * 8, 4), 1, 4, 3, 8)
            .Add(Wave(2 * 2 * 5 * 4, 5), 2, 2, 5, 4)
            .Add(Wave(2 * 2 * 5 * 6, 6), 2, 2, 5, 6);
    }

    /// <summary>Inputs of 4 dimensions, 7 keys of which 7 and 5 are valid, a bool mask [S, 6].</summary>
    public static OpNode WithLengths()
    {
        OpNode node = Node(24, "Y");
        node.Attributes["is_causal"] = 1L;
        return node
            .Add(Wave(2 * 4 * 3 * 4, 1), 2, 4, 3, 4)
            .Add(Wave(2 * 2 * 7 * 4, 2), 2, 2, 7, 4)
            .Add(Wave(2 * 2 * 7 * 6, 3), 2, 2, 7, 6)
            .Add<bool>([.. Enumerable.Range(0, 18).Select(i => i % 5 != 0)], 3, 6)
            .Skip(2)
            .Add<long>([7, 5], 2);
    }

    private static OpNode Node(int opset, params string[] outputs) => new()
    {
        Op = "Attention",
        Domain = "",
        Opset = opset,
        Library = Library,
        RanksKnown = false,
        Threads = 1,
        Outputs = outputs,
    };

    private static float[] Wave(int count, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 3) - 1.5f)];
    }
}
