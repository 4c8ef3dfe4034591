using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>
/// Domains with the names of ONNX Runtime's own, one for each choice of operators: what such a domain holds comes before the built-in
/// of the same name, and the rest of the built-in domain stays.
/// </summary>
internal static class OverrideDomains
{
    private const AttentionOverrides Microsoft = AttentionOverrides.GroupQueryAttention | AttentionOverrides.MultiHeadAttention;

    private static readonly Lock Gate = new();

    // A session points to its domains, so that they live as long as the process: at most four for each ONNX Runtime.
    private static readonly Dictionary<(OrtApi Api, AttentionOverrides Part), OrtDomain> Domains = [];

    /// <summary>The domains that a choice needs.</summary>
    public static IEnumerable<OrtDomain> For(OrtApi api, AttentionOverrides overrides) =>
        [.. Part(api, "com.microsoft", overrides & Microsoft), .. Part(api, "", overrides & ~Microsoft)];

    /// <summary>The operators of one or several choices.</summary>
    public static IEnumerable<CustomOp> OpsOf(AttentionOverrides overrides) =>
    [
        .. overrides.HasFlag(AttentionOverrides.GroupQueryAttention) ? GroupQueryAttentionOp.Overloads : [],
        .. overrides.HasFlag(AttentionOverrides.MultiHeadAttention) ? MultiHeadAttentionOp.Overloads : [],
        .. overrides.HasFlag(AttentionOverrides.OnnxAttention) ? OnnxAttentionOp.Overloads : [],
    ];

    private static OrtDomain[] Part(OrtApi api, string name, AttentionOverrides part)
    {
        if (part == AttentionOverrides.None)
        {
            return [];
        }
        lock (Gate)
        {
            if (!Domains.TryGetValue((api, part), out OrtDomain? domain))
            {
                domain = Domains[(api, part)] = new OrtDomain(api, name, OpsOf(part));
            }
            return [domain];
        }
    }
}
