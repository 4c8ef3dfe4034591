namespace AttentionKernels.Cli.Conformance;

/// <summary>What became of a case.</summary>
/// <param name="Case">The case.</param>
/// <param name="Verdict">The verdict.</param>
/// <param name="Text">Its worst error, or why it failed or was skipped.</param>
/// <param name="Nodes">How often a node ran on a kernel of ours.</param>
/// <param name="Elapsed">Time that it took, loading included.</param>
/// <param name="Exception">Where it was refused.</param>
internal sealed record CaseResult(ConformanceCase Case, CaseVerdict Verdict, string Text, int Nodes, TimeSpan Elapsed, Exception? Exception = null);
