namespace AttentionKernels.Kernels.Device;

/// <summary>Whether a kernel keeps aligned keys apart for rows of U, as a type argument. Folds to a constant.</summary>
internal interface IRowClasses
{
    static abstract bool AreSplit { get; }
}
