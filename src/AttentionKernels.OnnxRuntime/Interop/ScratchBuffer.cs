using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>Memory from ONNX Runtime's CPU arena for the length of one Compute, 64-byte aligned, freed by Dispose. Do not copy.</summary>
internal unsafe ref struct ScratchBuffer
{
    public const int Alignment = 64; // bytes

    private readonly OrtApi _api;
    private Allocator* _allocator;
    private void* _block;

    internal ScratchBuffer(OrtApi api, NodeContext* context, long count, int size)
    {
        _api = api;
        if (count < 0 || size <= 0 || !TryMultiply(count, size, out long bytes))
        {
            throw new OrtException(OrtErrorCode.InvalidArgument, $"scratch memory of {count} elements of {size} bytes is not possible");
        }
        Length = bytes;
        Allocator* allocator;
        api.Check(api.Table->KernelContextGetAllocator(context, api.CpuMemory, &allocator));
        void* block = null;
        // The arena aligns as ONNX Runtime was built to, which may be less than a cache line.
        Status* status = api.Table->AllocatorAlloc(allocator, (nuint)bytes + Alignment, &block);
        if (status != null || block == null)
        {
            api.Table->ReleaseAllocator(allocator);
            api.Check(status);
            throw new OrtException(OrtErrorCode.Fail, $"no {bytes} bytes of scratch memory are left");
        }
        _allocator = allocator;
        _block = block;
        Data = (void*)(((nuint)block + Alignment - 1) & ~(nuint)(Alignment - 1));
    }

    /// <summary>First byte.</summary>
    public void* Data { get; private set; }

    /// <summary>Bytes that may be used.</summary>
    public long Length { get; }

    public void Dispose()
    {
        if (_block != null)
        {
            _ = _api.Succeeds(_api.Table->AllocatorFree(_allocator, _block));
            _api.Table->ReleaseAllocator(_allocator);
            _block = null;
            _allocator = null;
            Data = null;
        }
    }

    private static bool TryMultiply(long count, int size, out long bytes)
    {
        bytes = 0;
        if (count > (long.MaxValue - Alignment) / size)
        {
            return false;
        }
        bytes = count * size;
        return true;
    }
}
