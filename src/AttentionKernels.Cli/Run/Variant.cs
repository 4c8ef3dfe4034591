namespace AttentionKernels.Cli.Run;

/// <summary>The three models that a run compares.</summary>
internal enum Variant
{
    /// <summary>The model as it is, with ONNX Runtime's own GroupQueryAttention.</summary>
    BuiltIn,

    /// <summary>Rewritten with SteeredAttention, which measures and changes nothing.</summary>
    Measured,

    /// <summary>Rewritten with SteeredAttention, which steers.</summary>
    Steered,
}
