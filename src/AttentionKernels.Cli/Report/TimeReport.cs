namespace AttentionKernels.Cli.Report;

/// <summary>Times of a prefill of the whole scene.</summary>
/// <param name="Rounds">Timed runs that each model has at least, after one that is not timed.</param>
/// <param name="Interleaved">Whether the models took turns. Otherwise they were too large to be loaded at once and ran one after the other.</param>
/// <param name="BuiltIn">The model as it is.</param>
/// <param name="Measured">With SteeredAttention, not steered.</param>
/// <param name="Steered">With SteeredAttention, steered; null with policy none.</param>
internal sealed record TimeReport(int Rounds, bool Interleaved, VariantTime BuiltIn, VariantTime Measured, VariantTime? Steered);
