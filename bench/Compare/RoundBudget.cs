namespace AttentionKernels.Bench.Compare;

/// <summary>How often a case is measured: rounds go on while there is time, within limits.</summary>
/// <param name="Least">Rounds at least.</param>
/// <param name="Most">Rounds at most.</param>
/// <param name="Time">No further round starts after this.</param>
/// <param name="Sample">A side that is faster than this runs several times in a row, and their mean counts once.</param>
internal readonly record struct RoundBudget(int Least, int Most, TimeSpan Time, TimeSpan Sample);
