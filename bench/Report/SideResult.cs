namespace AttentionKernels.Bench.Report;

/// <summary>Times of one side of a case.</summary>
/// <param name="Node">What ran.</param>
/// <param name="Milliseconds">Median of one run.</param>
/// <param name="GigaFlops">Operations of plain attention by that time, 1e9 per second.</param>
/// <param name="GigaBytes">Keys and values read by that time, 1e9 bytes per second; decode only.</param>
/// <param name="Samples">Milliseconds of each round.</param>
internal sealed record SideResult(string Node, double Milliseconds, double GigaFlops, double? GigaBytes, IReadOnlyList<double> Samples);
