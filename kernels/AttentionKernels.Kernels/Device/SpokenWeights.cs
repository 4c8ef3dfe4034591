using System.Runtime.CompilerServices;

namespace AttentionKernels.Kernels.Device;

/// <summary>What a row of U makes of its partials once all keys are seen, the head sink included, with a bias on its aligned keys or without.</summary>
/// <remarks>
/// With class maxima m, sums l, outputs O, the sink counted with the rest r, aligned class a and bias b, only d = m_a + b - m_r matters:
/// <code>
/// w_a = min(1, 2^d)      w_r = min(1, 2^-d)      total = l_a w_a + l_r w_r      out = (O_a w_a + O_r w_r) / total
/// </code>
/// Neither m_a + b nor e^b is ever formed: b may be thousands, beyond which the rounded sum would have no digits left for the difference.
/// NaN: a class that met one has the sum NaN, and so has the total. All 0 for a row that saw no key, be there a sink or not.
/// </remarks>
internal struct SpokenWeights
{
    /// <summary>What O_a and O_r are multiplied by. Not to be multiplied with what an empty class left in memory: see SumAligned, SumRest.</summary>
    public float Aligned, Rest;

    /// <summary>Probability of the aligned keys, and of all keys of V_all.</summary>
    public float AlignedMass, BoxedMass;

    /// <summary>Largest probability of an aligned key.</summary>
    public float Largest;

    /// <param name="stats">Partials.</param>
    /// <param name="sink">Logit of the head sink times log2(e); -inf: none.</param>
    /// <param name="alpha">Strength of the bias; 0: none.</param>
    /// <param name="clampNegative">Not 0: never a maximum below 0.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SpokenWeights Of(SpokenStats stats, float sink, float alpha, int clampNegative)
    {
        // An empty class has sum 0; its maximum alone does not tell, for a maximum drops NaN.
        bool seesAligned = stats.SumAligned != 0, seesRest = stats.SumRest != 0;
        float maxRest = Arithmetic.Max(stats.MaxRest, sink);
        float restScale = seesRest ? Arithmetic.Exp2(stats.MaxRest - maxRest) : 0f;
        float sinkTerm = sink == float.NegativeInfinity ? 0f : Arithmetic.Exp2(sink - maxRest);
        float sumRest = Arithmetic.Fma(stats.SumRest, restScale, sinkTerm);
        bool hasRest = sumRest != 0;

        float max = Arithmetic.Max(stats.MaxAligned, stats.MaxBoxed);
        max = clampNegative != 0 ? Arithmetic.Max(max, 0f) : max;
        float d = Arithmetic.Fma(alpha, max, stats.MaxAligned - maxRest);
        float below = Arithmetic.Exp2(d), above = Arithmetic.Exp2(-d);
        float aligned = seesAligned ? hasRest ? d >= 0 ? 1f : below : 1f : 0f;
        float rest = hasRest ? seesAligned ? d > 0 ? above : 1f : 1f : 0f;

        float alignedSum = stats.SumAligned * aligned;
        float total = Arithmetic.Fma(sumRest, rest, alignedSum);
        float scale = seesAligned || seesRest ? Arithmetic.Divide(1f, total) : 0f;
        return new SpokenWeights
        {
            Aligned = aligned * scale,
            Rest = rest * restScale * scale,
            AlignedMass = alignedSum * scale,
            BoxedMass = Arithmetic.Fma(stats.SumBoxed, rest * restScale, alignedSum) * scale,
            Largest = aligned * scale,
        };
    }
}
