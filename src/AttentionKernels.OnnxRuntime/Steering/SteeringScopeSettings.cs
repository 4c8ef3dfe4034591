using AttentionKernels.OnnxRuntime.Graph;

namespace AttentionKernels.OnnxRuntime.Steering;

/// <summary>What a <see cref="SteeringScope"/> does, and to which layers.</summary>
public sealed record SteeringScopeSettings
{
    /// <summary>
    /// Layers that are steered and measured; the others run as plain attention. A node's layer is the number after "layers" or "blocks" in its name
    /// (<c>/model/layers.12/attn/...</c>); nodes without one are counted from 0 in the order in which they first run.
    /// </summary>
    public LayerRange Layers { get; init; } = LayerRange.All;

    /// <summary>What happens to active heads: <c>social</c>, the social-aware bias, or <c>none</c>, scores only.</summary>
    public string Policy { get; init; } = "social";

    /// <summary>Strength of the bias, finite; 1 is the paper's. 0 only measures.</summary>
    public float Alpha { get; init; } = 1;

    /// <summary>Score above which a head is active, not NaN; 5e-5 is the paper's.</summary>
    public float Lambda { get; init; } = 5e-5f;

    /// <summary>Whether a negative bias becomes 0. Off is the paper's formula.</summary>
    public bool ClampNegative { get; init; }

    /// <summary>
    /// Off: each run has exactly as many keys as there are roles. On, for generation: a run may have fewer, which are the first ones (a prompt in chunks),
    /// or more, which are generated text of nobody (decoding). Not together with query roles.
    /// </summary>
    public bool Growing { get; init; }

    /// <summary>
    /// Scores that decide which heads are active, instead of each call's own; null: each call's own. A prompt in chunks needs the scores of the
    /// whole prompt here, from an earlier scope that measured it; otherwise each chunk decides by the words that it holds. One entry for each layer of <see cref="Layers"/>.
    /// </summary>
    public IReadOnlyList<SteeredLayerScores>? Gate { get; init; }

    /// <summary>Strength that the engine is given: "none" measures and changes nothing, which is what strength 0 does.</summary>
    internal float EffectiveAlpha => Policy == "none" ? 0 : Alpha;

    /// <summary>Refuses values that the operators would refuse.</summary>
    /// <exception cref="ArgumentException">Names the property, its value and what was expected.</exception>
    internal void Check()
    {
        Require(float.IsFinite(Alpha), nameof(Alpha), Alpha, "a finite number");
        Require(!float.IsNaN(Lambda), nameof(Lambda), Lambda, "a number");
        Require(Policy is "social" or "none", nameof(Policy), $"'{Policy}'", "'social' or 'none'");
        foreach (IGrouping<int, SteeredLayerScores> layer in (Gate ?? []).GroupBy(scores => scores.Layer))
        {
            Require(layer.Count() == 1, nameof(Gate), $"{layer.Count()} entries for layer {layer.Key}", "one");
        }
    }

    private static void Require(bool holds, string property, object value, string expected)
    {
        if (!holds)
        {
            throw new ArgumentException(FormattableString.Invariant($"{property} is {value}, expected {expected}"));
        }
    }
}
