namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>How far ONNX Runtime rewrites a graph before running it.</summary>
internal enum OrtGraphOptimization
{
    None = 0,
    Basic = 1,
    Extended = 2,
    All = 99,
}
