using AttentionKernels.Bench.Nodes;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Bench.Compare;

/// <summary>ONNX Runtime's side: every built-in operator that gives the same result. The fastest is the rival.</summary>
internal static class BuiltInNodes
{
    private const string Microsoft = "com.microsoft";

    /// <summary>Candidates for one of the three prefill sides.</summary>
    /// <param name="data">Tensors.</param>
    /// <param name="side">BuiltInPlain, BuiltInBias or BuiltInScores.</param>
    /// <param name="likely">Only those that were the fastest of all at some length.</param>
    public static IEnumerable<AttentionNode> Prefill(PrefillData data, Side side, bool likely) =>
        Prefill(data, side).Where(node => !likely || IsLikely(data, side, node));

    /// <summary>A decode step of GroupQueryAttention.</summary>
    public static AttentionNode Decode(DecodeData data) => new()
    {
        Domain = Microsoft,
        Op = "GroupQueryAttention",
        Attributes = Attributes(("num_heads", (long)data.Shape.Heads), ("kv_num_heads", (long)data.Shape.KvHeads)),
        Inputs = data.Inputs,
        Outputs = data.Outputs,
    };

    /// <summary>What a node's S x S output holds: MultiHeadAttention writes logits, the others were asked for probabilities.</summary>
    public static bool GivesLogits(AttentionNode node) => node.Op == "MultiHeadAttention";

    // Without a causal mask MultiHeadAttention is tiled and wins where it can be used; with one GroupQueryAttention skips half of the work, tiled or not.
    private static bool IsLikely(PrefillData data, Side side, AttentionNode node) => node.ShortName switch
    {
        "MultiHeadAttention" => !data.Causal && side != Side.BuiltInScores,
        "GroupQueryAttention+cache" => data.Causal && side != Side.BuiltInScores,
        "GroupQueryAttention" => data.Causal || side != Side.BuiltInPlain || data.Shape.Heads != data.Shape.KvHeads,
        _ => false,
    };

    private static IEnumerable<AttentionNode> Prefill(PrefillData data, Side side)
    {
        OrtTensor? bias = side == Side.BuiltInBias ? data.DenseBias : null;
        OrtTensor? qk = side == Side.BuiltInScores ? data.Qk : null;
        OrtTensor?[] outputs = [data.Output, null, null, qk];
        long causal = data.Causal ? 1 : 0;

        AttentionNode grouped = new()
        {
            Domain = Microsoft,
            Op = "GroupQueryAttention",
            // 2: probabilities, which leave the reduction nothing but sums.
            Attributes = Attributes(("num_heads", (long)data.Shape.Heads), ("kv_num_heads", (long)data.Shape.KvHeads), ("causal", causal), ("qk_output", qk == null ? 0L : 2)),
            Inputs = [data.Query, data.Key, data.Value, null, null, data.SeqlensK, data.TotalLength, null, null, null, bias],
            Outputs = outputs,
        };
        yield return grouped;
        // Only with the cache as outputs does the CPU kernel of ONNX Runtime 1.30 take its tiled path.
        yield return grouped with { Outputs = [data.Output, data.PresentKey, data.PresentValue, qk] };

        yield return new AttentionNode
        {
            Domain = "",
            Op = "Attention",
            Attributes = Attributes(("q_num_heads", (long)data.Shape.Heads), ("kv_num_heads", (long)data.Shape.KvHeads), ("is_causal", causal), ("qk_matmul_output_mode", qk == null ? 0L : 3)),
            Inputs = [data.Query, data.Key, data.Value, bias],
            Outputs = outputs,
        };
        if (data.Shape.Heads == data.Shape.KvHeads)
        {
            yield return new AttentionNode
            {
                Domain = Microsoft,
                Op = "MultiHeadAttention",
                Attributes = Attributes(("num_heads", (long)data.Shape.Heads), ("unidirectional", causal)),
                Inputs = [data.Query, data.Key, data.Value, null, null, bias],
                Outputs = outputs,
            };
        }
    }

    private static Dictionary<string, object> Attributes(params (string Name, object Value)[] attributes) =>
        attributes.ToDictionary(a => a.Name, a => a.Value);
}
