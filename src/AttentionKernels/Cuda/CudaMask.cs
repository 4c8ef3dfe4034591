namespace AttentionKernels.Cuda;

/// <summary>A mask of which a call makes its problem's Bias: 0 for keys that it shows, a number for those that it hides, beside a dense bias. <c>default</c>: the problem's bias is what it is.</summary>
internal unsafe struct CudaMask
{
    /// <summary>[Batch, Rows, Keys] on the device by strides; null: none.</summary>
    public void* Data;

    /// <summary>1: bool, 0 hides; 4: int32, 0 and less hides.</summary>
    public int ElementBytes;

    /// <summary>Elements from one batch element to the next, and from one row to the next.</summary>
    public long BatchStride, RowStride;

    /// <summary>Shape of the bias that is made, which is contiguous. What the problem broadcasts is 1.</summary>
    public int Batch, Heads, Rows, Keys;

    /// <summary>What is added where a key is hidden.</summary>
    public float Filter;

    /// <summary>[Batch, Heads, Rows, Keys] of the tensors' type, added everywhere; empty: none.</summary>
    public TensorView Bias;

    /// <summary>Elements of the bias that is made.</summary>
    public readonly long Count => checked((long)Batch * Heads * Rows * Keys);
}
