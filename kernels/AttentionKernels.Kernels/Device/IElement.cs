namespace AttentionKernels.Kernels.Device;

/// <summary>Storage type of a tensor's elements, as a type argument of a kernel. Arithmetic is float32 in every kernel.</summary>
/// <remarks>The properties fold to constants, so a branch on them costs nothing.</remarks>
internal interface IElement
{
    /// <summary>Bytes of an element.</summary>
    static abstract int Bytes { get; }

    /// <summary>Whether it is bfloat16. Of the 16-bit types, the other is float16.</summary>
    static abstract bool IsBFloat16 { get; }
}
