using System.Diagnostics;

namespace AttentionKernels;

/// <summary>
/// A tensor [B, H, S, D] in memory that somebody else owns. Strides are in elements; the innermost dimension is
/// contiguous. A stride of 0 broadcasts. Covers both layouts of ONNX attention: [B, H, S, D] and [B, S, H * D].
/// </summary>
/// <param name="data">Address of element (0, 0, 0, 0); null for an absent tensor.</param>
/// <param name="type">Element type.</param>
/// <param name="batchStride">Elements from one batch element to the next.</param>
/// <param name="headStride">Elements from one head to the next.</param>
/// <param name="rowStride">Elements from one token to the next.</param>
public readonly unsafe struct TensorView(void* data, ElementType type, long batchStride, long headStride, long rowStride)
{
    /// <summary>Address of element (0, 0, 0, 0); null for an absent tensor.</summary>
    public readonly void* Data = data;

    /// <summary>Element type.</summary>
    public readonly ElementType Type = type;

    /// <summary>Elements from one batch element to the next.</summary>
    public readonly long BatchStride = batchStride;

    /// <summary>Elements from one head to the next.</summary>
    public readonly long HeadStride = headStride;

    /// <summary>Elements from one token to the next.</summary>
    public readonly long RowStride = rowStride;

    /// <summary>Whether the tensor is absent.</summary>
    public bool IsEmpty => Data == null;

    /// <summary>A view of contiguous [B, H, S, D] memory.</summary>
    public static TensorView Bhsd(void* data, ElementType type, int heads, int rows, int size) =>
        new(data, type, (long)heads * rows * size, (long)rows * size, size);

    /// <summary>A view of contiguous [B, S, H * D] memory.</summary>
    public static TensorView Bshd(void* data, ElementType type, int heads, int rows, int size) =>
        new(data, type, (long)heads * rows * size, size, (long)heads * size);

    /// <summary>Element offset of token <paramref name="s"/> of head <paramref name="h"/> of batch element <paramref name="b"/>.</summary>
    public long Offset(int b, int h, int s) => (b * BatchStride) + (h * HeadStride) + (s * RowStride);

    /// <summary>Address of the row (b, h, s) of a float32 tensor.</summary>
    internal float* Float(int b, int h, int s)
    {
        Debug.Assert(Type == ElementType.Float32 && Data != null);
        return (float*)Data + Offset(b, h, s);
    }

    /// <summary>Address of the row (b, h, s), whatever its type.</summary>
    internal byte* Row(int b, int h, int s)
    {
        Debug.Assert(Data != null);
        return (byte*)Data + (Offset(b, h, s) * Type.Size());
    }

    /// <summary>One element as float32. For the reference and tests; engines read rows.</summary>
    internal float Load(int b, int h, int s, int d) => Type.Load(Data, Offset(b, h, s) + d);
}
