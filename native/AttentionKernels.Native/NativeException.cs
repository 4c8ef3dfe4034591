namespace AttentionKernels.Native;

/// <summary>An error with a status of its own.</summary>
internal sealed class NativeException(NativeStatus status, string message) : Exception(message)
{
    public NativeStatus Status => status;
}
