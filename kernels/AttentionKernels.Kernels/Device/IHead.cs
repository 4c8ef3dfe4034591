namespace AttentionKernels.Kernels.Device;

/// <summary>Head size of a tensor-core kernel, as a type argument: 64, 80, 96 or 128. Folds to constants.</summary>
internal interface IHead
{
    /// <summary>Elements D of a row of Q, K, V and of the output.</summary>
    static abstract int Size { get; }
}
