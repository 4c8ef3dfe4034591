using System.Runtime.InteropServices;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>A node while it runs: its inputs, outputs, scratch memory and threads. Valid during one Compute. Allocates nothing managed.</summary>
internal readonly unsafe ref struct KernelContext(OrtApi api, NodeContext* context, IReadOnlyList<OpParameter> inputs)
{
    // Stands for tensors without elements, for which ONNX Runtime may give null: null means absent here.
    private static readonly void* Empty = NativeMemory.AlignedAlloc(ScratchBuffer.Alignment, ScratchBuffer.Alignment);

    private readonly OrtApi _api = api;
    private readonly NodeContext* _context = context;
    private readonly IReadOnlyList<OpParameter> _inputs = inputs;

    /// <summary>Inputs that the node lists, skipped ones included.</summary>
    public int InputCount
    {
        get
        {
            nuint count;
            _api.Check(_api.Table->KernelContextGetInputCount(_context, &count));
            return (int)count;
        }
    }

    /// <summary>Outputs that the node lists, skipped ones included.</summary>
    public int OutputCount
    {
        get
        {
            nuint count;
            _api.Check(_api.Table->KernelContextGetOutputCount(_context, &count));
            return (int)count;
        }
    }

    /// <summary>An input.</summary>
    /// <returns>False if the node leaves it out or skips it.</returns>
    /// <exception cref="OrtException">The tensor has more than 8 dimensions.</exception>
    public bool TryGetInput(int index, out TensorArgument input)
    {
        input = default;
        if (index >= InputCount)
        {
            return false;
        }
        Value* value;
        _api.Check(_api.Table->KernelContextGetInput(_context, (nuint)index, &value));
        if (value == null)
        {
            return false;
        }

        TensorInfo* info;
        _api.Check(_api.Table->GetTensorTypeAndShape(value, &info));
        try
        {
            OnnxElementType type;
            nuint rank;
            _api.Check(_api.Table->GetTensorElementType(info, &type));
            _api.Check(_api.Table->GetDimensionsCount(info, &rank));
            if (rank > TensorShape.MaxRank)
            {
                long[] dimensions = new long[rank];
                fixed (long* pointer = dimensions)
                {
                    _api.Check(_api.Table->GetDimensions(info, pointer, rank));
                }
                throw new OrtException(
                    OrtErrorCode.InvalidArgument,
                    $"input '{_inputs[index].Name}' has shape [{string.Join(',', dimensions)}], expected at most {TensorShape.MaxRank} dimensions");
            }
            TensorShape shape = default;
            _api.Check(_api.Table->GetDimensions(info, (long*)&shape, rank));
            input.ElementType = type;
            input.Rank = (int)rank;
            input.Dimensions = shape;
        }
        finally
        {
            _api.Table->ReleaseTensorTypeAndShapeInfo(info);
        }

        input.ElementCount = 1;
        foreach (long dimension in input.Shape)
        {
            input.ElementCount = checked(input.ElementCount * dimension);
        }
        input.Data = DataOf(value, input.ElementCount);
        return true;
    }

    /// <summary>Allocates an output.</summary>
    /// <returns>Its memory, not cleared; null if the node leaves the output out or skips it.</returns>
    public void* Output(int index, params ReadOnlySpan<long> shape)
    {
        if (index >= OutputCount)
        {
            return null;
        }
        long count = 1;
        foreach (long dimension in shape)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(dimension, nameof(shape));
            count = checked(count * dimension);
        }
        Value* value;
        fixed (long* dimensions = shape)
        {
            _api.Check(_api.Table->KernelContextGetOutput(_context, (nuint)index, dimensions, (nuint)shape.Length, &value));
        }
        return value == null ? null : DataOf(value, count);
    }

    /// <summary>Scratch memory for <paramref name="count"/> elements of <paramref name="size"/> bytes, not cleared. Use with <c>using</c>.</summary>
    /// <exception cref="OrtException">Memory is out, or the size overflows.</exception>
    public ScratchBuffer Scratch(long count, int size) => new(_api, _context, count, size);

    /// <summary>Scratch memory of a device for what is put into <see cref="ComputeStream"/> during this Compute, not cleared. Use with <c>using</c>.</summary>
    /// <exception cref="OrtException">Memory is out, or the size overflows.</exception>
    public DeviceBuffer DeviceScratch(MemoryInfo* memory, nuint bytes) => new(_api, _context, memory, bytes);

    /// <summary>The stream (CUstream) that the node's work goes into.</summary>
    public void* ComputeStream
    {
        get
        {
            void* stream;
            _api.Check(_api.Table->KernelContextGetGpuComputeStream(_context, &stream));
            return stream;
        }
    }

    /// <summary>
    /// Calls <paramref name="body"/>(<paramref name="state"/>, i) for i = 0 .. <paramref name="count"/> - 1 on the session's threads and
    /// this one, and returns when all are done. The body must not throw: an exception on a thread of ONNX Runtime's pool would end the process.
    /// </summary>
    public void ParallelFor(delegate* unmanaged[Cdecl]<void*, nuint, void> body, nuint count, void* state)
    {
        if (count != 0)
        {
            _api.Check(_api.Table->KernelContextParallelFor(_context, body, count, 0, state)); // 0: as many threads as there are
        }
    }

    private void* DataOf(Value* value, long count)
    {
        void* data;
        _api.Check(_api.Table->GetTensorMutableData(value, &data));
        return data == null && count == 0 ? Empty : data;
    }
}
