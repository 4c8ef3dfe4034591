namespace AttentionKernels.Cli.Report;

/// <summary>The model.</summary>
/// <param name="Name">Its path, or "generated decoder".</param>
/// <param name="RandomWeights">Whether this tool generated it, with random weights.</param>
/// <param name="Layers">Attention layers.</param>
/// <param name="Heads">Query heads of a layer.</param>
/// <param name="KvHeads">Key and value heads of a layer.</param>
/// <param name="Hidden">Size of an embedding.</param>
/// <param name="ElementType">float32 or float16.</param>
/// <param name="Parameters">Numbers in all constants.</param>
internal sealed record ModelReport(
    string Name, bool RandomWeights, int Layers, long Heads, long KvHeads, int Hidden, string ElementType, long Parameters);
