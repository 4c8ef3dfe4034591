using AttentionKernels.Bench.Compare;

namespace AttentionKernels.Bench.Device;

/// <summary>A bar and what was measured for it.</summary>
/// <param name="Key">Its name.</param>
/// <param name="Title">What it is.</param>
/// <param name="MustReach">What must be reached.</param>
/// <param name="Aim">What is aimed for.</param>
/// <param name="Mean">Geometric mean over cases; null: none was measured.</param>
/// <param name="Worst">The worst case.</param>
/// <param name="Best">The best case.</param>
/// <param name="Cases">How many cases were measured.</param>
/// <param name="Reached">How many of them reach it by themselves.</param>
/// <param name="Verdict">"met", "met, aim too", "NOT MET" or "not measured": by the mean.</param>
internal sealed record DeviceBarResult(
    string Key, string Title, double MustReach, double? Aim, double? Mean, double? Worst, double? Best, int Cases, int Reached, string Verdict)
{
    /// <summary>Sums the cases up.</summary>
    public static DeviceBarResult Of(DeviceBar bar, IEnumerable<DeviceCaseResult> cases)
    {
        double[] values = [.. cases.Select(bar.ValueOf).OfType<double>()];
        if (values.Length == 0)
        {
            return new DeviceBarResult(bar.Key, bar.Title, bar.MustReach, bar.Aim, null, null, null, 0, 0, "not measured");
        }
        (double mean, double low, double high) = (Statistics.GeometricMean(values), values.Min(), values.Max());
        string verdict = !bar.Reaches(mean, bar.MustReach) ? "NOT MET" : bar.Aim is double aim && bar.Reaches(mean, aim) ? "met, aim too" : "met";
        return new DeviceBarResult(
            bar.Key, bar.Title, bar.MustReach, bar.Aim, mean, bar.AtLeast ? low : high, bar.AtLeast ? high : low, values.Length, values.Count(value => bar.Reaches(value, bar.MustReach)), verdict);
    }
}
