namespace AttentionKernels.OnnxRuntime;

/// <summary>Error codes of ONNX Runtime's C API.</summary>
public enum OrtErrorCode
{
    /// <summary>No error; never carried by an <see cref="OrtException"/>.</summary>
    Ok = 0,

    /// <summary>A failure without a code of its own.</summary>
    Fail = 1,

    /// <summary>An argument, input or attribute is not acceptable.</summary>
    InvalidArgument = 2,

    /// <summary>A file does not exist.</summary>
    NoSuchFile = 3,

    /// <summary>There is no model.</summary>
    NoModel = 4,

    /// <summary>An execution engine failed.</summary>
    EngineError = 5,

    /// <summary>An exception inside ONNX Runtime.</summary>
    RuntimeException = 6,

    /// <summary>The model's bytes are not a valid protobuf message.</summary>
    InvalidProtobuf = 7,

    /// <summary>The session has a model already.</summary>
    ModelLoaded = 8,

    /// <summary>No implementation exists.</summary>
    NotImplemented = 9,

    /// <summary>The graph breaks a rule of ONNX.</summary>
    InvalidGraph = 10,

    /// <summary>An execution provider failed.</summary>
    ExecutionProviderFail = 11,
}
