namespace AttentionKernels.Cuda;

/// <summary>Numbers on their way from the device. Read once, or given up by Dispose; not thread-safe.</summary>
internal sealed unsafe class CudaDownload(CudaContext context, PinnedBuffer buffer, nuint bytes) : IDisposable
{
    private PinnedBuffer? _buffer = buffer;

    /// <summary>Waits until the numbers are there, which they are when the run has ended, and copies them.</summary>
    public void Read(Span<float> target)
    {
        PinnedBuffer from = _buffer ?? throw new ObjectDisposedException(nameof(CudaDownload));
        context.Wait(from.Done);
        new ReadOnlySpan<float>(from.Memory, (int)(bytes / sizeof(float))).CopyTo(target);
        Dispose();
    }

    /// <summary>Gives the memory back. A copy that is still going on ends before anybody else gets it.</summary>
    public void Dispose()
    {
        if (_buffer != null)
        {
            context.Return(_buffer);
            _buffer = null;
        }
    }
}
