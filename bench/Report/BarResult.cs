using AttentionKernels.Bench.Compare;

namespace AttentionKernels.Bench.Report;

/// <summary>One line of the table.</summary>
/// <param name="Bar">What is compared.</param>
/// <param name="Mean">Geometric mean over cases of their median ratios; NaN: none was measured.</param>
/// <param name="Low">The same of the 25 % quantiles.</param>
/// <param name="High">The same of the 75 % quantiles.</param>
/// <param name="Best">Smallest case.</param>
/// <param name="Worst">Largest case.</param>
/// <param name="Cases">How many.</param>
internal sealed record BarResult(Bar Bar, double Mean, double Low, double High, double Best, double Worst, int Cases)
{
    /// <summary>Whether the mean is at or under what must be reached.</summary>
    public bool Met => Mean <= Bar.MustReach;

    /// <summary>Sums the cases up.</summary>
    public static BarResult Of(Bar bar, IEnumerable<CaseResult> cases)
    {
        Spread[] ratios = [.. cases.Where(c => c.Ratios.ContainsKey(bar.Key)).Select(c => c.Ratios[bar.Key])];
        return new BarResult(
            bar,
            Statistics.GeometricMean(ratios.Select(r => r.Median)),
            Statistics.GeometricMean(ratios.Select(r => r.Low)),
            Statistics.GeometricMean(ratios.Select(r => r.High)),
            ratios.Length == 0 ? double.NaN : ratios.Min(r => r.Median),
            ratios.Length == 0 ? double.NaN : ratios.Max(r => r.Median),
            ratios.Length);
    }
}
