namespace AttentionKernels.OnnxRuntime.Steering;

/// <summary>What a <see cref="SteeringScope"/> found in one attention node.</summary>
public sealed class SteeredLayerScores
{
    /// <summary>The layer.</summary>
    public required int Layer { get; init; }

    /// <summary>The node's name in the graph; may be empty.</summary>
    public required string Node { get; init; }

    /// <summary>B.</summary>
    public required int Batch { get; init; }

    /// <summary>Query heads H.</summary>
    public required int Heads { get; init; }

    /// <summary>
    /// [B, H] mean unbiased probability over the pairs of U and V_all; 0 without such a pair. Where a prompt came in chunks, that of the whole prompt:
    /// the chunks' scores, weighted by their rows.
    /// </summary>
    public required IReadOnlyList<float> HeadScores { get; init; }

    /// <summary>
    /// [B, H, 4] (mean before, mean after, max before, max after) of the probability on aligned keys, averaged over the rows of U that have an
    /// aligned key; 0 where no row has one.
    /// </summary>
    public required IReadOnlyList<float> Alignment { get; init; }

    /// <summary>Calls of the node that held a row of U. Decode steps hold none.</summary>
    public required int Calls { get; init; }
}
