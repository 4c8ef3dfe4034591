using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Tests.Support;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>A tensor for ONNX Runtime over guarded memory, so that a node that writes outside of it is found.</summary>
internal sealed unsafe class GuardedTensor : IDisposable
{
    private readonly GuardedBuffer _buffer;

    public GuardedTensor(OnnxElementType type, params ReadOnlySpan<long> shape)
    {
        long bytes = type switch
        {
            OnnxElementType.Float or OnnxElementType.Int32 => 4,
            OnnxElementType.Float16 or OnnxElementType.BFloat16 => 2,
            OnnxElementType.Int64 => 8,
            _ => 1,
        };
        foreach (long dimension in shape)
        {
            bytes *= dimension;
        }
        _buffer = new GuardedBuffer(bytes);
        OrtApi api = OrtApi.Default;
        Value* value;
        fixed (long* dimensions = shape)
        {
            api.Check(api.Table->CreateTensorWithDataAsOrtValue(api.CpuMemory, _buffer.Data, (nuint)bytes, dimensions, (nuint)shape.Length, type, &value));
        }
        Tensor = OrtTensor.TakeOver(api, value);
    }

    public OrtTensor Tensor { get; }

    public void CheckMargins(string name, string repro) => _buffer.CheckMargins(name, repro);

    public void Dispose()
    {
        Tensor.Dispose();
        _buffer.Dispose();
    }
}
