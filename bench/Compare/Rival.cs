namespace AttentionKernels.Bench.Compare;

/// <summary>The built-in operator that was the fastest of those with the same result.</summary>
/// <param name="Case">Where that was found out.</param>
/// <param name="Threads">With how many threads.</param>
/// <param name="Side">For which side.</param>
/// <param name="Index">Its place among the candidates.</param>
/// <param name="Milliseconds">Fastest run of each candidate, by <see cref="Nodes.AttentionNode.ShortName"/>; 0 if there was no other.</param>
internal sealed record Rival(string Case, int Threads, Side Side, int Index, IReadOnlyDictionary<string, double> Milliseconds);
