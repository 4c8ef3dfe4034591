namespace AttentionKernels.Bench.Compare;

/// <summary>Whether both sides computed the same, and whether steering did anything.</summary>
internal static class Agreement
{
    // Float32 sums of some thousand products in another order differ by about 1e-6 of the largest value.
    private const double Tolerance = 1e-4;

    /// <summary>The largest difference, relative to the largest expected value.</summary>
    /// <param name="what">For the message.</param>
    /// <param name="actual">One side.</param>
    /// <param name="expected">The other.</param>
    /// <exception cref="BenchException">It is more than rounding, or there is a NaN.</exception>
    public static double Check(string what, ReadOnlySpan<float> actual, ReadOnlySpan<float> expected)
    {
        double error = 0, size = 0;
        for (int i = 0; i < actual.Length; i++)
        {
            error = Math.Max(error, Math.Abs(actual[i] - expected[i]));
            size = Math.Max(size, Math.Abs(expected[i]));
        }
        double relative = error / size;
        return relative <= Tolerance ? relative : throw new BenchException(FormattableString.Invariant($"{what}: the sides differ by {relative:0.0e0} of the largest value, expected at most {Tolerance:0.0e0}"));
    }

    /// <summary>Checks that every head was active and that the bias moved the rows of U.</summary>
    /// <exception cref="BenchException">It was not so.</exception>
    public static void CheckSteered(string what, PrefillData data, ReadOnlySpan<float> plain, ReadOnlySpan<float> steered)
    {
        foreach (float score in data.HeadScores.Span<float>())
        {
            if (!(score > OwnNodes.LambdaForAllHeads))
            {
                throw new BenchException($"{what}: a head has score {score}, so not every head was steered");
            }
        }
        int row = data.Shape.Heads * data.Shape.HeadSize;
        foreach (int u in data.Roles.Spoken)
        {
            if (plain.Slice(u * row, row).SequenceEqual(steered.Slice(u * row, row)))
            {
                throw new BenchException($"{what}: row {u} of spoken text is the same with and without steering");
            }
        }
    }
}
