namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>An execution provider of ONNX Runtime.</summary>
internal enum OnnxProvider
{
    /// <summary>CPUExecutionProvider, which every session has.</summary>
    Cpu,

    /// <summary>CUDAExecutionProvider: tensors are in device memory. Sessions without it never look at its ops.</summary>
    Cuda,
}
