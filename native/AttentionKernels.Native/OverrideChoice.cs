using AttentionKernels.OnnxRuntime;

namespace AttentionKernels.Native;

/// <summary>The text that says which of ONNX Runtime's operators are overridden.</summary>
internal static class OverrideChoice
{
    /// <summary>Entry of a session's configuration; wins over the variable.</summary>
    public const string ConfigKey = "attention_kernels.override";

    /// <summary>Environment variable.</summary>
    public const string Variable = "ATTENTION_KERNELS_OVERRIDE";

    /// <summary>Reads "none", "all", or names of operators with commas between.</summary>
    /// <param name="text">The text; null or empty: none.</param>
    /// <param name="source">Where it comes from, for the message.</param>
    /// <exception cref="ArgumentException">A name is unknown; the message has those that are.</exception>
    public static AttentionOverrides Parse(string? text, string source)
    {
        AttentionOverrides overrides = AttentionOverrides.None;
        foreach (string name in (text ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            overrides |= name switch
            {
                "none" => AttentionOverrides.None,
                "all" => AttentionOverrides.All,
                "GroupQueryAttention" => AttentionOverrides.GroupQueryAttention,
                "MultiHeadAttention" => AttentionOverrides.MultiHeadAttention,
                "Attention" => AttentionOverrides.OnnxAttention,
                _ => throw new ArgumentException($"{source} has '{name}', expected none, all, or some of GroupQueryAttention, MultiHeadAttention, Attention with commas between"),
            };
        }
        return overrides;
    }
}
