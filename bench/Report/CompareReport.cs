using AttentionKernels.Bench.Compare;

namespace AttentionKernels.Bench.Report;

/// <summary>Everything that a comparison found.</summary>
/// <param name="Quick">Whether it was the short one.</param>
/// <param name="Override">Whether ours was the override.</param>
/// <param name="Machine">Where.</param>
/// <param name="Bars">The table.</param>
/// <param name="Cases">Every case.</param>
/// <param name="Memory">Extra memory; empty if not measured.</param>
/// <param name="Rivals">How the built-in operators were chosen.</param>
/// <param name="Kernels">What was found out about the kernels that ran.</param>
internal sealed record CompareReport(
    bool Quick, bool Override, MachineDescription Machine, IReadOnlyList<BarResult> Bars, IReadOnlyList<CaseResult> Cases, IReadOnlyList<MemoryResult> Memory,
    IReadOnlyCollection<Rival> Rivals, IReadOnlyCollection<string> Kernels)
{
    /// <summary>The last line of the output.</summary>
    public string Summary => "summary: " + string.Join(' ', Bars.Select(bar => FormattableString.Invariant($"{bar.Bar.Key}={bar.Mean:0.000}")));
}
