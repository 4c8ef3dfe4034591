using AttentionKernels.OnnxRuntime.Graph;

namespace AttentionKernels.Cli.Run;

/// <summary>What the steered model does; the defaults are the paper's.</summary>
internal sealed record SteeringSettings
{
    /// <summary>Which layers become SteeredAttention; null: <see cref="PaperLayers"/>.</summary>
    public LayerRange? Layers { get; init; }

    /// <summary>Whether to steer with the social bias; otherwise heads are only measured.</summary>
    public bool Steer { get; init; } = true;

    /// <summary>Strength of the bias, finite.</summary>
    public float Alpha { get; init; } = 1;

    /// <summary>Score above which a head is active, not NaN.</summary>
    public float Lambda { get; init; } = 5e-5f;

    /// <summary>Whether a negative bias counts as 0.</summary>
    public bool ClampNegative { get; init; }
}
