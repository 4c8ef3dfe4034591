namespace AttentionKernels.Bench.Compare;

/// <summary>What to compare.</summary>
/// <param name="Quick">A few cases within a minute instead of all.</param>
/// <param name="Override">Ours is the rival's own node, overridden and steered by a scope, instead of SteeredAttention.</param>
/// <param name="Threads">Numbers of intra-op threads.</param>
/// <param name="Filter">Only cases whose name contains one of these, separated by commas; null: all.</param>
internal sealed record CompareRequest(bool Quick, bool Override, IReadOnlyList<int> Threads, string? Filter)
{
    /// <summary>The cases to time.</summary>
    public IReadOnlyList<CompareCase> Cases => Choose(Quick ? CompareCase.Quick : CompareCase.Full);

    /// <summary>The cases whose memory is measured; none in a quick run.</summary>
    public IReadOnlyList<CompareCase> Memory => Quick ? [] : Choose(CompareCase.Memory);

    /// <summary>Refuses a filter that leaves nothing.</summary>
    /// <exception cref="BenchException">Names the cases.</exception>
    public void Check()
    {
        if (Cases.Count + Memory.Count == 0)
        {
            CompareRequest all = this with { Filter = null };
            throw new BenchException($"no case contains '{Filter}'; the cases are: {string.Join(", ", all.Cases.Concat(all.Memory))}.");
        }
    }

    private CompareCase[] Choose(IReadOnlyList<CompareCase> all) =>
        [.. all.Where(c => Filter == null || Filter.Split(',').Any(part => c.ToString().Contains(part, StringComparison.OrdinalIgnoreCase)))];
}
