namespace AttentionKernels.Cli.Report;

/// <summary>Times of one model.</summary>
/// <param name="MedianMs">Median, milliseconds.</param>
/// <param name="RatioToBuiltIn">Median divided by the built-in model's.</param>
/// <param name="RunsMs">Each run, milliseconds, in order.</param>
internal sealed record VariantTime(double MedianMs, double RatioToBuiltIn, IReadOnlyList<double> RunsMs);
