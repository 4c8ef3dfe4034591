namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>What <see cref="SteeredAttentionRewriter"/> shall write into a model.</summary>
public sealed record SteeringRewrite
{
    /// <summary>Layers whose attention is replaced; the others stay as they are.</summary>
    public LayerRange Layers { get; init; } = LayerRange.All;

    /// <summary>Strength of the bias, finite; 1 is the paper's. 0 only measures.</summary>
    public float Alpha { get; init; } = 1;

    /// <summary>Score above which a head is active, not NaN; 5e-5 is the paper's.</summary>
    public float Lambda { get; init; } = 5e-5f;

    /// <summary>Whether a negative bias becomes 0. Off is the paper's formula.</summary>
    public bool ClampNegative { get; init; }

    /// <summary>What happens to active heads: <c>social</c>, the social-aware bias, or <c>none</c>, scores only.</summary>
    public string Policy { get; init; } = "social";

    /// <summary>
    /// Whether each replaced layer gets a graph input <c>head_scores_in.{i}</c> float [batch, heads]: scores that decide which heads are
    /// active instead of the call's own. Chunked prefill needs it.
    /// </summary>
    public bool HeadScoresInput { get; init; }

    /// <summary>Refuses values that the operator would refuse.</summary>
    /// <exception cref="OnnxModelException">Names the property, its value and what was expected.</exception>
    internal void Check()
    {
        Require(float.IsFinite(Alpha), nameof(Alpha), Alpha, "a finite number");
        Require(!float.IsNaN(Lambda), nameof(Lambda), Lambda, "a number");
        Require(Policy is "social" or "none", nameof(Policy), $"'{Policy}'", "'social' or 'none'");
    }

    private static void Require(bool holds, string property, object value, string expected)
    {
        if (!holds)
        {
            throw new OnnxModelException(FormattableString.Invariant($"Steering: {property} is {value}, expected {expected}."));
        }
    }
}
