namespace AttentionKernels.Bench.Compare;

/// <summary>What to compare.</summary>
/// <param name="Quick">A few cases within a minute instead of all.</param>
/// <param name="Threads">Numbers of intra-op threads.</param>
/// <param name="Filter">Only cases whose name contains this; null: all.</param>
internal sealed record CompareRequest(bool Quick, IReadOnlyList<int> Threads, string? Filter)
{
    /// <summary>The cases.</summary>
    /// <exception cref="BenchException">There is none.</exception>
    public IReadOnlyList<CompareCase> Cases
    {
        get
        {
            IReadOnlyList<CompareCase> all = Quick ? CompareCase.Quick : CompareCase.Full;
            CompareCase[] chosen = [.. all.Where(c => Filter == null || c.ToString().Contains(Filter, StringComparison.OrdinalIgnoreCase))];
            return chosen.Length > 0 ? chosen : throw new BenchException($"no case contains '{Filter}'; the cases are: {string.Join(", ", all)}.");
        }
    }
}
