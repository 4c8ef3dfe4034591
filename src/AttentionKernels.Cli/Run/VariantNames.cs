namespace AttentionKernels.Cli.Run;

/// <summary>What people read.</summary>
internal static class VariantNames
{
    /// <summary>The variant in words.</summary>
    public static string Name(this Variant variant) => variant switch
    {
        Variant.BuiltIn => "ONNX Runtime built-in",
        Variant.Measured => "SteeredAttention, measured only",
        _ => "SteeredAttention, steered",
    };
}
