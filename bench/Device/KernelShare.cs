namespace AttentionKernels.Bench.Device;

/// <summary>What one operation takes of a call, in a run in which each is timed by itself: the sum is more than the call's own time.</summary>
/// <param name="Operation">A kernel's stem, "upload" or "clear".</param>
/// <param name="Milliseconds">Median over calls.</param>
/// <param name="Share">Part of the sum, 0..1.</param>
internal sealed record KernelShare(string Operation, double Milliseconds, double Share);
