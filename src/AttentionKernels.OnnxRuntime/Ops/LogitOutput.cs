using AttentionKernels.Cpu;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>An optional output [B, H, S, T] of logits or probabilities, in the type of the keys.</summary>
internal readonly unsafe struct LogitOutput
{
    /// <summary>Null: not wanted.</summary>
    public required void* Data { get; init; }

    public required LogitStage Stage { get; init; }

    /// <summary>What <see cref="LogitStage.Masked"/> has for keys that a row does not see.</summary>
    public float Hidden { get; init; }
}
