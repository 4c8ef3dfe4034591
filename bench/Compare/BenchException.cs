namespace AttentionKernels.Bench.Compare;

/// <summary>A comparison that would mean nothing: the sides disagree, or another kernel ran than the one that is named.</summary>
internal sealed class BenchException(string message) : Exception(message);
