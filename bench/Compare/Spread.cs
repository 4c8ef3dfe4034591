namespace AttentionKernels.Bench.Compare;

/// <summary>A number that was taken in each round of interleaved measurements.</summary>
/// <param name="Median">Its median over the rounds.</param>
/// <param name="Low">25 % of the rounds are below.</param>
/// <param name="High">25 % are above.</param>
internal readonly record struct Spread(double Median, double Low, double High)
{
    /// <summary>The spread of one number for each round.</summary>
    public static Spread Of(IReadOnlyList<double> rounds) => new(Statistics.Median(rounds), Statistics.Quantile(rounds, 0.25), Statistics.Quantile(rounds, 0.75));

    /// <summary>The time ratio of two sides round by round: what slows a whole round down cancels.</summary>
    public static Spread OfRatio(IReadOnlyList<double> ours, IReadOnlyList<double> theirs) => Of([.. ours.Zip(theirs, (a, b) => a / b)]);
}
