namespace AttentionKernels.Cuda;

/// <summary>
/// What happens before attention: new rows of query and keys are rotated or get projection biases, keys and values are written behind the past ones, head sinks are widened. All of it device memory;
/// the problem's tensors are what comes out. <c>default</c>: nothing happens, the problem's tensors are the call's own.
/// </summary>
internal unsafe struct CudaAppend
{
    /// <summary>New rows: query [B, H, S, D], key and value [B, KvHeads, NewKeys, D or Dv].</summary>
    public TensorView Query, Key, Value;

    /// <summary>New keys of each element.</summary>
    public int NewKeys;

    /// <summary>[B, KvHeads, PastLength, D or Dv]; null: none.</summary>
    public void* PastKey, PastValue;

    /// <summary>Room in the past; 0 without one.</summary>
    public int PastLength;

    /// <summary>[B, KvHeads, PresentLength, D or Dv] receive all keys and values; may be the past's memory; null: the new rows are read where they lie.</summary>
    public void* PresentKey, PresentValue;

    /// <summary>Room in present.</summary>
    public int PresentLength;

    /// <summary>[B, H, S, D] receives the query, rotated or with its bias; null: it stays as it is.</summary>
    public void* MovedQuery;

    /// <summary>[H or KvHeads, D or Dv] of the tensors' type, added to every row; null: none. Then nothing is rotated.</summary>
    public void* QueryBias, KeyBias, ValueBias;

    /// <summary>[H] sinks of the tensors' type, of which the problem's HeadSink is made; null: that is what it is.</summary>
    public void* NarrowSink;

    /// <summary>[Positions, RotaryPairs] of the tensors' type.</summary>
    public void* CosCache, SinCache;

    /// <summary>[B, S] int64; null: rows count on from their place among the keys.</summary>
    public void* PositionIds;

    /// <summary>Pairs of elements that are rotated, 0: none; and rows of the caches.</summary>
    public int RotaryPairs, Positions;

    /// <summary>Whether a pair is (2i, 2i + 1) and not (i, i + RotaryPairs).</summary>
    public bool Interleaved;

    /// <summary>
    /// [B] valid keys - 1, the seqlens_k of com.microsoft::GroupQueryAttention, from which the problem's KeyLengths and QueryOffsets are made; null: the problem's lengths are what they are.
    /// </summary>
    public int* SeqlensK;

    /// <summary>Whether an element's new keys end at its own length, and not at KeyLength.</summary>
    public bool FollowsLengths;

    /// <summary>Whether anything happens.</summary>
    public readonly bool IsNeeded => PresentKey != null || PresentValue != null || MovedQuery != null || SeqlensK != null || NarrowSink != null;
}
