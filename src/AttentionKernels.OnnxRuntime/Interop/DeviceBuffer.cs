using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>
/// Device memory from ONNX Runtime's arena for the work that one Compute puts into its stream, freed by Dispose: the arena knows the stream and gives the memory to another one only when this
/// work is done. Do not copy.
/// </summary>
internal unsafe ref struct DeviceBuffer
{
    private readonly OrtApi _api;
    private Allocator* _allocator;
    private void* _block;

    internal DeviceBuffer(OrtApi api, NodeContext* context, MemoryInfo* memory, nuint bytes)
    {
        _api = api;
        if (bytes == 0)
        {
            return;
        }
        Allocator* allocator;
        api.Check(api.Table->KernelContextGetAllocator(context, memory, &allocator));
        void* block = null;
        Status* status = api.Table->KernelContextGetScratchBuffer(context, memory, bytes, &block);
        if (status != null || block == null)
        {
            api.Table->ReleaseAllocator(allocator);
            api.Check(status);
            throw new OrtException(OrtErrorCode.Fail, $"no {bytes} bytes of device memory are left");
        }
        _allocator = allocator;
        _block = block;
    }

    /// <summary>First byte; null if none was asked for. Aligned as the device's allocations are, to 256 bytes.</summary>
    public readonly void* Data => _block;

    public void Dispose()
    {
        if (_block != null)
        {
            _ = _api.Succeeds(_api.Table->AllocatorFree(_allocator, _block));
            _api.Table->ReleaseAllocator(_allocator);
            _block = null;
            _allocator = null;
        }
    }
}
