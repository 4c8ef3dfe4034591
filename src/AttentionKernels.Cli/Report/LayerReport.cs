namespace AttentionKernels.Cli.Report;

/// <summary>A layer whose attention is SteeredAttention.</summary>
/// <param name="Layer">The layer, from 0.</param>
/// <param name="Node">Name of its attention node.</param>
/// <param name="ActiveHeads">Heads whose score is above lambda.</param>
/// <param name="TotalHeads">Heads.</param>
/// <param name="ActiveAlignment">Mean of the alignment over the active heads; null when there are none.</param>
/// <param name="Heads">The heads in order.</param>
internal sealed record LayerReport(
    int Layer, string Node, int ActiveHeads, int TotalHeads, AlignmentReport? ActiveAlignment, IReadOnlyList<HeadReport> Heads);
