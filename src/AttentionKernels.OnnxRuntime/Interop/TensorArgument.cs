using System.Diagnostics.CodeAnalysis;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>A tensor that a running node was given. Valid during that Compute only.</summary>
internal unsafe struct TensorArgument
{
    /// <summary>First element; never null, but without elements there is nothing to read.</summary>
    public void* Data;

    public OnnxElementType ElementType;

    /// <summary>Product of the shape.</summary>
    public long ElementCount;

    public int Rank;

    internal TensorShape Dimensions;

    /// <summary>The dimensions; a view into this struct.</summary>
    [UnscopedRef]
    public readonly ReadOnlySpan<long> Shape => ((ReadOnlySpan<long>)Dimensions)[..Rank];
}
