namespace AttentionKernels.Bench.Device;

/// <summary>
/// One row of attention on the host: in float64, and as plain float32 attention that rounds probabilities and the result to the tensors' type has it, whose error is the measure of what a kernel may
/// be off.
/// </summary>
internal static class RowReference
{
    /// <summary>A row of keys or values.</summary>
    /// <param name="key">Which.</param>
    public delegate ReadOnlySpan<float> Source(int key);

    /// <summary>Computes a row.</summary>
    /// <param name="query">[D].</param>
    /// <param name="keys">Keys that it sees: 0..keys - 1.</param>
    /// <param name="key">Keys.</param>
    /// <param name="value">Values.</param>
    /// <param name="scale">Factor of the products.</param>
    /// <param name="roles">Which keys are boxed and aligned, for a row of U that is steered with alpha = 1; null: plain.</param>
    /// <param name="type">Type of the tensors.</param>
    /// <param name="exact">[D] receives the row in float64.</param>
    /// <param name="rounded">[D] receives it rounded on the way.</param>
    public static void Run(
        ReadOnlySpan<float> query, int keys, Source key, Source value, float scale, (bool[] Boxed, bool[] Aligned)? roles, ElementType type, Span<double> exact, Span<float> rounded)
    {
        double[] logits = new double[keys];
        float[] narrow = new float[keys];
        for (int j = 0; j < keys; j++)
        {
            (logits[j], narrow[j]) = Dot(query, key(j), scale);
        }
        if (roles is (bool[] boxed, bool[] aligned))
        {
            double bias = double.NegativeInfinity;
            float narrowBias = float.NegativeInfinity;
            for (int j = 0; j < keys; j++)
            {
                (bias, narrowBias) = boxed[j] ? (Math.Max(bias, logits[j]), Math.Max(narrowBias, narrow[j])) : (bias, narrowBias);
            }
            for (int j = 0; j < keys && double.IsFinite(bias); j++)
            {
                (logits[j], narrow[j]) = aligned[j] ? (logits[j] + bias, narrow[j] + narrowBias) : (logits[j], narrow[j]);
            }
        }
        double max = logits.Max(), sum = 0;
        float narrowMax = narrow.Max(), narrowSum = 0;
        exact.Clear();
        rounded.Clear();
        for (int j = 0; j < keys; j++)
        {
            double p = Math.Exp(logits[j] - max);
            float q = MathF.Exp(narrow[j] - narrowMax), weight = Rounded(type, q);
            (sum, narrowSum) = (sum + p, narrowSum + q);
            ReadOnlySpan<float> row = value(j);
            for (int d = 0; d < exact.Length; d++)
            {
                exact[d] += p * row[d];
                rounded[d] += weight * row[d];
            }
        }
        for (int d = 0; d < exact.Length; d++)
        {
            exact[d] /= sum;
            rounded[d] = Rounded(type, rounded[d] / narrowSum);
        }
    }

    /// <summary>Probability of each key for a row, in float64.</summary>
    public static double[] Probabilities(ReadOnlySpan<float> query, int keys, Source key, float scale)
    {
        double[] probabilities = new double[keys];
        for (int j = 0; j < keys; j++)
        {
            probabilities[j] = Dot(query, key(j), scale).Exact;
        }
        double max = probabilities.Max(), sum = 0;
        for (int j = 0; j < keys; j++)
        {
            sum += probabilities[j] = Math.Exp(probabilities[j] - max);
        }
        for (int j = 0; j < keys; j++)
        {
            probabilities[j] /= sum;
        }
        return probabilities;
    }

    /// <summary>The nearest number of a type.</summary>
    public static float Rounded(ElementType type, float value) => type switch
    {
        ElementType.Float16 => (float)(Half)value,
        ElementType.BFloat16 => (float)(BFloat16)value,
        _ => value,
    };

    private static (double Exact, float Narrow) Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b, float scale)
    {
        double exact = 0;
        float narrow = 0;
        for (int d = 0; d < a.Length; d++)
        {
            exact += (double)a[d] * b[d];
            narrow += a[d] * b[d];
        }
        return (exact * scale, narrow * scale);
    }
}
