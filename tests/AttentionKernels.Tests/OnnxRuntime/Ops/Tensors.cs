using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>Tensors of any type T from float32 and back.</summary>
internal static unsafe class Tensors
{
    /// <summary>A tensor of values rounded to a type.</summary>
    public static OrtTensor Of(ElementType type, float[] values, params ReadOnlySpan<long> shape)
    {
        OrtTensor tensor = Zeros(type, shape);
        for (int i = 0; i < values.Length; i++)
        {
            type.Store(tensor.Data, i, values[i]);
        }
        return tensor;
    }

    public static OrtTensor Zeros(ElementType type, params ReadOnlySpan<long> shape) => type switch
    {
        ElementType.Float32 => OrtTensor.Zeros<float>(shape),
        ElementType.Float16 => OrtTensor.Zeros<Half>(shape),
        _ => OrtTensor.Zeros<BFloat16>(shape),
    };

    public static float[] Floats(OrtTensor tensor)
    {
        ElementType type = tensor.ElementType.ToElementType();
        float[] values = new float[tensor.ElementCount];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = type.Load(tensor.Data, i);
        }
        return values;
    }
}
