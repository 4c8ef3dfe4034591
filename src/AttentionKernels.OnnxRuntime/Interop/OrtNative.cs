namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>The opaque types of the C API (OrtStatus, OrtEnv, ...), so that the compiler tells one pointer from another.</summary>
internal static class OrtNative
{
    public readonly struct Status;

    public readonly struct Env;

    public readonly struct SessionOptions;

    public readonly struct Session;

    public readonly struct RunOptions;

    public readonly struct Value;

    public readonly struct MemoryInfo;

    public readonly struct Allocator;

    public readonly struct TypeInfo;

    /// <summary>OrtTensorTypeAndShapeInfo.</summary>
    public readonly struct TensorInfo;

    /// <summary>OrtCustomOpDomain.</summary>
    public readonly struct Domain;

    /// <summary>OrtKernelInfo: a node while its kernel is made.</summary>
    public readonly struct NodeInfo;

    /// <summary>OrtKernelContext: a node while it runs.</summary>
    public readonly struct NodeContext;

    /// <summary>OrtShapeInferContext.</summary>
    public readonly struct InferContext;

    /// <summary>OrtOpAttr.</summary>
    public readonly struct OpAttribute;
}
