using AttentionKernels.Bench.Compare;

namespace AttentionKernels.Bench.Report;

/// <summary>What was measured of a case with one number of threads.</summary>
/// <param name="Case">Its name.</param>
/// <param name="Threads">Intra-op threads of every session.</param>
/// <param name="Rounds">Interleaved rounds.</param>
/// <param name="Sides">Times.</param>
/// <param name="Ratios">By <see cref="Bar.Key"/>: time ratios.</param>
/// <param name="Errors">Largest difference of each pair, relative to the largest value.</param>
internal sealed record CaseResult(
    string Case, int Threads, int Rounds, IReadOnlyDictionary<Side, SideResult> Sides, IReadOnlyDictionary<string, Spread> Ratios,
    IReadOnlyDictionary<string, double> Errors);
