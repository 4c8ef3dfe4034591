namespace AttentionKernels.Bench.Compare;

/// <summary>What is timed.</summary>
internal enum Side
{
    /// <summary>Our operator without roles.</summary>
    OwnPlain,

    /// <summary>Our operator steering every head, head scores out.</summary>
    OwnSteered,

    /// <summary>Our operator changing nothing, head scores out.</summary>
    OwnScores,

    /// <summary>The fastest built-in operator.</summary>
    BuiltInPlain,

    /// <summary>The fastest built-in operator with the steering as a dense attention_bias [1, H, S, S].</summary>
    BuiltInBias,

    /// <summary>The fastest built-in operator with its S x S output, and the scores from that.</summary>
    BuiltInScores,

    /// <summary>Our operator, one query row, keys and values in a shared buffer.</summary>
    OwnDecode,

    /// <summary>GroupQueryAttention, one query row, keys and values in a shared buffer.</summary>
    BuiltInDecode,
}
