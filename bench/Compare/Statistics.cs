namespace AttentionKernels.Bench.Compare;

/// <summary>Numbers that are kept of repeated measurements.</summary>
internal static class Statistics
{
    /// <summary>The value below which a part of the values lies, interpolated between neighbours.</summary>
    /// <param name="values">At least one, in any order.</param>
    /// <param name="part">0..1; 0.5 is the median.</param>
    public static double Quantile(IEnumerable<double> values, double part)
    {
        double[] sorted = [.. values.Order()];
        if (sorted.Length == 0)
        {
            throw new ArgumentException("there are no values", nameof(values));
        }
        double at = part * (sorted.Length - 1);
        int below = (int)at, above = Math.Min(below + 1, sorted.Length - 1);
        return sorted[below] + ((at - below) * (sorted[above] - sorted[below]));
    }

    /// <summary>The middle value.</summary>
    public static double Median(IEnumerable<double> values) => Quantile(values, 0.5);

    /// <summary>exp(mean(log x)): the mean of ratios for which a ratio and its inverse cancel.</summary>
    /// <param name="values">Positive; without any the result is NaN.</param>
    public static double GeometricMean(IEnumerable<double> values)
    {
        double[] logs = [.. values.Select(x => Math.Log(x))];
        return logs.Length == 0 ? double.NaN : Math.Exp(logs.Sum() / logs.Length);
    }
}
