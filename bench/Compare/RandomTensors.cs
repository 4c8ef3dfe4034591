using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Bench.Compare;

/// <summary>Tensors of random numbers with mean 0 and variance 1: logits of a trained layer's size.</summary>
internal static class RandomTensors
{
    private static readonly float Width = MathF.Sqrt(12);

    public static OrtTensor Create(Random random, params ReadOnlySpan<long> shape)
    {
        OrtTensor tensor = OrtTensor.Zeros<float>(shape);
        foreach (ref float x in tensor.Span<float>())
        {
            x = (random.NextSingle() - 0.5f) * Width;
        }
        return tensor;
    }
}
