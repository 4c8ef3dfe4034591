namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>The least severe messages that ONNX Runtime writes to stderr.</summary>
internal enum OrtLogSeverity
{
    Verbose = 0,
    Info = 1,
    Warning = 2,
    Error = 3,
    Fatal = 4,
}
