namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>An ONNX model cannot be read, built or rewritten. The message names the part that is at fault and what was expected.</summary>
public sealed class OnnxModelException : Exception
{
    /// <summary>A fault described by <paramref name="message"/>.</summary>
    public OnnxModelException(string message)
        : base(message)
    {
    }

    /// <summary>A fault described by <paramref name="message"/>, found through <paramref name="cause"/>.</summary>
    public OnnxModelException(string message, Exception cause)
        : base(message, cause)
    {
    }
}
