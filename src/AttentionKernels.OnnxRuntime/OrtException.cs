namespace AttentionKernels.OnnxRuntime;

/// <summary>An error that ONNX Runtime reported, or that keeps this library from working with it.</summary>
public sealed class OrtException : Exception
{
    /// <summary>Makes an exception.</summary>
    /// <param name="code">The kind of error; <see cref="OrtErrorCode.Ok"/> becomes <see cref="OrtErrorCode.Fail"/>.</param>
    /// <param name="message">What is wrong and, where there is one, the remedy.</param>
    /// <param name="inner">The cause, if an exception was one.</param>
    public OrtException(OrtErrorCode code, string message, Exception? inner = null)
        : base(message, inner)
    {
        Code = code == OrtErrorCode.Ok ? OrtErrorCode.Fail : code;
    }

    /// <summary>The kind of error.</summary>
    public OrtErrorCode Code { get; }
}
