using static AttentionKernels.Cuda.CudaNative;

namespace AttentionKernels.Cuda;

/// <summary>A stream of a device, for one call of the engine. Makes the device's context this thread's until Dispose; waits for nothing.</summary>
internal unsafe ref struct CudaQueue
{
    private readonly CudaContext _context;
    private readonly WorkStream* _stream;
    private readonly CudaContext.Use _use;
    private PinnedBuffer? _staged;

    /// <param name="context">The stream's context.</param>
    /// <param name="stream">A CUstream.</param>
    public CudaQueue(CudaContext context, void* stream)
    {
        _context = context;
        _stream = (WorkStream*)stream;
        _use = context.Enter();
    }

    /// <summary>The kernels that there are.</summary>
    public readonly KernelManifest Kernels => _context.Kernels;

    /// <summary>Multiprocessors of the device: what decides how finely work is split.</summary>
    public readonly int Multiprocessors => _context.Multiprocessors;

    /// <summary>Launches a kernel.</summary>
    public readonly void Launch(KernelEntry kernel, Grid grid, ref KernelArguments arguments)
    {
        void** addresses = stackalloc void*[KernelParameters.Most];
        KernelArguments.Address(ref arguments, kernel, addresses);
        _context.Driver.Launch(_context.FunctionOf(kernel), grid, kernel.Threads, kernel.DynamicSharedBytes, _stream, addresses);
        _context.Enqueued?.Invoke(kernel.Kernel, (nint)_stream);
    }

    /// <summary>Host memory to prepare an upload in, 64-byte aligned, not cleared, valid until <see cref="Upload"/>. Once in a call.</summary>
    /// <exception cref="NotSupportedException">The stream is being captured: a graph would read the memory again when it runs, with whatever is in it then.</exception>
    public void* Stage(nuint bytes)
    {
        if (_context.Driver.IsCapturing(_stream))
        {
            throw new NotSupportedException("a call with steered rows, or with lengths from the host, cannot be captured into a CUDA graph, which would copy again what it uploads; capture decode steps, which have none");
        }
        _staged = _context.TakeBuffer(bytes);
        return _staged.Memory;
    }

    /// <summary>Copies a part of what <see cref="Stage"/> gave to the device.</summary>
    public void Upload(void* target, void* source, nuint bytes)
    {
        nuint first = (nuint)source - (nuint)(_staged == null ? null : _staged.Memory);
        if (_staged == null || first > _staged.Bytes || bytes > _staged.Bytes - first)
        {
            throw new InvalidOperationException($"{bytes} bytes are uploaded from {first}, expected a part of the {_staged?.Bytes ?? 0} that were staged");
        }
        PinnedBuffer staged = _staged;
        _context.Driver.Upload((long)target, source, bytes, _stream);
        _staged = null; // without its event nobody would know when the copy has ended: then the memory is never taken again
        _context.Driver.Record(staged.Done, _stream);
        _staged = staged;
        _context.Enqueued?.Invoke("upload", (nint)_stream);
    }

    /// <summary>Copies device memory to the host; the result is read after the run.</summary>
    public readonly CudaDownload Download(void* source, nuint bytes)
    {
        PinnedBuffer buffer = _context.TakeBuffer(bytes);
        try
        {
            _context.Driver.Download(buffer.Memory, (long)source, bytes, _stream);
        }
        catch
        {
            _context.Return(buffer);
            throw;
        }
        _context.Driver.Record(buffer.Done, _stream); // as above
        return new CudaDownload(_context, buffer, bytes);
    }

    /// <summary>Clears device memory.</summary>
    public readonly void Clear(void* target, nuint bytes)
    {
        _context.Driver.Clear((long)target, bytes, _stream);
        _context.Enqueued?.Invoke("clear", (nint)_stream);
    }

    /// <summary>Ends the call; what was put into the stream goes on.</summary>
    public void Dispose()
    {
        if (_staged != null)
        {
            _context.Return(_staged);
            _staged = null;
        }
        _use.Dispose();
    }
}
