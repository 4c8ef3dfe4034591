namespace AttentionKernels.Bench.Compare;

/// <summary>A time ratio, taken in each round of interleaved measurements.</summary>
/// <param name="Median">Its median over the rounds.</param>
/// <param name="Low">25 % of the rounds are below.</param>
/// <param name="High">25 % are above.</param>
internal readonly record struct RatioSpread(double Median, double Low, double High)
{
    /// <summary>The ratio of two sides round by round: what slows a whole round down cancels.</summary>
    public static RatioSpread Of(IReadOnlyList<double> ours, IReadOnlyList<double> theirs)
    {
        double[] ratios = [.. ours.Zip(theirs, (a, b) => a / b)];
        return new RatioSpread(Statistics.Median(ratios), Statistics.Quantile(ratios, 0.25), Statistics.Quantile(ratios, 0.75));
    }
}
