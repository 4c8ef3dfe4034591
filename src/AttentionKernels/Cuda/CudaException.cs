namespace AttentionKernels.Cuda;

/// <summary>The CUDA driver is missing or has refused a call. The message has the call's name, and the driver's name and text of the error.</summary>
public sealed class CudaException : Exception
{
    internal CudaException(string message, int code = 0)
        : base(message) => Code = code;

    /// <summary>The driver's CUresult; 0 where there is no driver to ask.</summary>
    public int Code { get; }
}
