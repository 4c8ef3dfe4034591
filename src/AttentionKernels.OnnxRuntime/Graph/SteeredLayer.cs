namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>A layer whose attention <see cref="SteeredAttentionRewriter"/> has replaced.</summary>
/// <param name="Index">The layer's number: the {i} of the graph output <c>head_scores.{i}</c>.</param>
/// <param name="Node">Name of the attention node.</param>
/// <param name="Heads">Query heads.</param>
public sealed record SteeredLayer(int Index, string Node, int Heads);
