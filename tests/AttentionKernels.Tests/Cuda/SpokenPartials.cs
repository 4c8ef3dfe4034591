namespace AttentionKernels.Tests.Cuda;

/// <summary>Partials of a row of U as the class kernels leave them, and in float64 what follows from them.</summary>
/// <param name="MaxAligned">Largest logit of an aligned key, times log2(e).</param>
/// <param name="SumAligned">Sum over aligned keys relative to it; 0: none is seen.</param>
/// <param name="MaxRest">The same of all other keys.</param>
/// <param name="SumRest">The same of all other keys.</param>
/// <param name="SumBoxed">Part of SumRest on keys of V_all.</param>
/// <param name="MaxBoxed">Largest logit of a key of V_all, times log2(e).</param>
internal readonly record struct SpokenPartials(float MaxAligned, float SumAligned, float MaxRest, float SumRest, float SumBoxed, float MaxBoxed)
{
    private const float None = float.NegativeInfinity;

    /// <summary>A row that sees no key.</summary>
    public static SpokenPartials Unseen { get; } = new(None, 0, None, 0, 0, None);

    public float[] Stats => [MaxAligned, SumAligned, MaxRest, SumRest, SumBoxed, MaxBoxed, 0, 0];

    /// <summary>Random: classes that are empty, logits of thousands, a rest that outweighs the aligned keys by far, NaN.</summary>
    public static SpokenPartials Random(Random random)
    {
        float level = random.Next(4) switch { 0 => 14427, 1 => -360674, _ => 0 };
        float Logit() => level + ((float)random.NextDouble() * 20) - 10;
        bool aligned = random.Next(4) > 0, rest = random.Next(4) > 0, boxed = rest && random.Next(3) > 0;
        float maxAligned = aligned ? Logit() : None, maxRest = rest ? Logit() + (random.Next(3) == 0 ? 36 : 0) : None;
        float sumRest = rest ? 1 + ((float)random.NextDouble() * 9) : 0;
        SpokenPartials row = new(
            maxAligned, aligned ? 1 + ((float)random.NextDouble() * 5) : 0, maxRest, sumRest,
            boxed ? sumRest * (float)random.NextDouble() : 0, boxed ? Math.Max(maxAligned, maxRest - 2) : maxAligned);
        return random.Next(40) == 0 ? row with { SumRest = float.NaN } : row;
    }

    /// <summary>Factors of the two outputs and probabilities under a bias of alpha * max.</summary>
    /// <param name="sink">Logit of the sink, times log2(e); -inf: none.</param>
    /// <param name="alpha">0: no bias.</param>
    /// <param name="clamp">Never a maximum below 0.</param>
    public (double Aligned, double Others, double AlignedMass, double BoxedMass, double Largest) Weights(double sink, double alpha, bool clamp)
    {
        if (SumAligned == 0 && SumRest == 0)
        {
            return default;
        }
        double max = clamp ? Math.Max(MaxBoxed, 0) : MaxBoxed, bias = SumAligned == 0 || alpha == 0 ? 0 : alpha * max;
        double top = Math.Max(MaxAligned + bias, Math.Max(MaxRest, sink));
        double aligned = Math.Pow(2, MaxAligned + bias - top), rest = Math.Pow(2, MaxRest - top);
        double total = (SumAligned * aligned) + (SumRest * rest) + Math.Pow(2, sink - top);
        return (aligned / total, rest / total, SumAligned * aligned / total, ((SumAligned * aligned) + (SumBoxed * rest)) / total, aligned / total);
    }

    /// <summary>
    /// What float32 may lose, relative: the difference of the maxima and the raised difference are rounded, each at its own size (as exponents of 2), and some operations follow.
    /// </summary>
    public double Budget(double sink, double alpha, bool clamp)
    {
        double max = clamp ? Math.Max(MaxBoxed, 0) : MaxBoxed, rest = Math.Max(MaxRest, sink);
        double difference = SumAligned == 0 || double.IsNegativeInfinity(rest) ? 0 : MaxAligned - rest, raised = alpha == 0 || SumAligned == 0 ? difference : difference + (alpha * max);
        double ulps = Math.Abs(difference) + (Math.Abs(raised) < 200 ? Math.Abs(raised) : 0) + (double.IsNegativeInfinity(MaxRest) || double.IsNegativeInfinity(sink) ? 0 : Math.Abs(MaxRest - sink));
        return ((ulps * Math.Log(2)) + 16) * Math.Pow(2, -24);
    }
}
