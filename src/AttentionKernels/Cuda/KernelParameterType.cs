namespace AttentionKernels.Cuda;

/// <summary>What a kernel takes a parameter for.</summary>
internal enum KernelParameterType
{
    /// <summary>A count or a switch.</summary>
    Int32,

    /// <summary>A device address, or a stride in elements.</summary>
    Int64,

    /// <summary>A number.</summary>
    Float32,
}
