using AttentionKernels.Bench.Nodes;
using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Bench.Compare;

/// <summary>Our side: ai.attentionkernels::SteeredAttention, or with the override the rival's own node.</summary>
internal static class OwnNodes
{
    /// <summary>Below every score, so that all heads are active: the worst case.</summary>
    public const float LambdaForAllHeads = 0;

    /// <summary>A node for one of the three prefill sides.</summary>
    /// <param name="data">Tensors.</param>
    /// <param name="side">OwnPlain, OwnSteered or OwnScores.</param>
    /// <param name="present">Whether the node also writes the key and value cache: it does if the built-in that it is compared with does.</param>
    public static AttentionNode Prefill(PrefillData data, Side side, bool present)
    {
        bool roles = side != Side.OwnPlain;
        Dictionary<string, object> attributes = Attributes(data.Shape, data.Causal);
        if (roles)
        {
            attributes.Add("policy", side == Side.OwnSteered ? "social" : "none");
            attributes.Add("lambda", LambdaForAllHeads);
        }
        OrtTensor?[] inputs = [data.Query, data.Key, data.Value, null, null, data.SeqlensK, data.TotalLength, null, null, null, null, null];
        return new AttentionNode
        {
            Domain = AttentionKernelsOps.Domain,
            Op = "SteeredAttention",
            Attributes = attributes,
            Inputs = roles ? [.. inputs, data.Modality, data.Speakers, data.Frames] : inputs,
            Outputs = [data.Output, present ? data.PresentKey : null, present ? data.PresentValue : null, roles ? data.HeadScores : null],
        };
    }

    /// <summary>A decode step.</summary>
    public static AttentionNode Decode(DecodeData data) => new()
    {
        Domain = AttentionKernelsOps.Domain,
        Op = "SteeredAttention",
        Attributes = Attributes(data.Shape, true),
        Inputs = data.Inputs,
        Outputs = data.Outputs,
    };

    private static Dictionary<string, object> Attributes(AttentionShape shape, bool causal) => new()
    {
        ["num_heads"] = (long)shape.Heads,
        ["kv_num_heads"] = (long)shape.KvHeads,
        ["causal"] = causal ? 1L : 0,
    };
}
