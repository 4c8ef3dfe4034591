using AttentionKernels.Reference;

namespace AttentionKernels.Tests.Support;

/// <summary>
/// When a result is right: its largest error against the float64 reference is at most twice that of plain
/// attention in the same precision, plus the noise of one rounding. The rule is FlashAttention's; there is no constant to tune.
/// </summary>
internal static class Tolerance
{
    /// <param name="name">What is compared.</param>
    /// <param name="actual">The engine's result.</param>
    /// <param name="truth">The reference in float64.</param>
    /// <param name="plain">
    /// The same formula in float32 in one of <see cref="AttentionReference.Orders"/> orders. One order alone can be exact by luck on a small case (a
    /// row with one key, say; or huge logits, where a single row makes the whole error), so the largest of several errors counts: of four orders, and
    /// of all of them where four seem not to be enough.
    /// </param>
    /// <param name="type">What results are rounded to.</param>
    /// <param name="repro">Line that brings the case back.</param>
    /// <param name="extra">What an engine that rounds on its way, such as a tensor core's 16-bit probabilities, may be off beside: a bound that was worked out, not tried.</param>
    /// <param name="sides">How many of the two sides carry an error of float32: 2 where the truth is another implementation's result.</param>
    public static void Check(string name, float[] actual, double[] truth, Func<int, float[]> plain, ElementType type, string repro, int sides = 1, double extra = 0)
    {
        Assert.True(truth.Length == actual.Length, $"{name}: {actual.Length} values, expected {truth.Length}; {repro}");
        double budget = Budget([0, 9, 16, 25]);
        int wrong = FindWrong(actual, truth, budget);
        if (wrong >= 0)
        {
            budget = Budget(Enumerable.Range(0, AttentionReference.Orders));
            wrong = FindWrong(actual, truth, budget);
        }
        Assert.True(
            wrong < 0,
            wrong < 0 ? "" : $"{name}[{wrong}] is {actual[wrong]:R}, expected {truth[wrong]:R} within {budget:E2} (error {Math.Abs(actual[wrong] - truth[wrong]):E2}); {repro}");

        double Budget(IEnumerable<int> orders) => (sides * ((2 * orders.Max(order => MaxError(plain(order), truth, type))) + (2 * Noise(truth, type)))) + extra;
    }

    private static int FindWrong(float[] actual, double[] truth, double budget)
    {
        for (int i = 0; i < truth.Length; i++)
        {
            // Infinities are equal, and have no difference.
            bool same = double.IsNaN(truth[i]) ? float.IsNaN(actual[i]) : actual[i] == truth[i] || Math.Abs(actual[i] - truth[i]) <= budget;
            if (!same)
            {
                return i;
            }
        }
        return -1;
    }

    private static double MaxError(float[] values, double[] truth, ElementType type)
    {
        double max = 0;
        for (int i = 0; i < truth.Length; i++)
        {
            double error = Math.Abs(Rounded(type, values[i]) - truth[i]);
            max = error > max ? error : max;
        }
        return max;
    }

    /// <summary>max |(x + 0.3 - 0.3) - x|: what one addition loses at the size of the results.</summary>
    private static double Noise(double[] truth, ElementType type)
    {
        double max = 0;
        foreach (double x in truth)
        {
            float shift = Rounded(type, 0.3f), shifted = Rounded(type, Rounded(type, Rounded(type, (float)x) + shift) - shift);
            double error = Math.Abs(shifted - x);
            max = error > max ? error : max;
        }
        return max;
    }

    /// <summary>The nearest number of a type.</summary>
    public static float Rounded(ElementType type, float value) => type switch
    {
        ElementType.Float16 => (float)(Half)value,
        ElementType.BFloat16 => (float)(BFloat16)value,
        _ => value,
    };
}
