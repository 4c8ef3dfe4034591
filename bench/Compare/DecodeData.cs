using AttentionKernels.Bench.Nodes;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Bench.Compare;

/// <summary>The tensors of one decode step, float32, batch 1: one new token behind T - 1 that are in the cache, which is past and present at once.</summary>
internal sealed class DecodeData : IDisposable
{
    /// <summary>Makes the tensors.</summary>
    /// <param name="shape">Heads.</param>
    /// <param name="length">T, the new token included.</param>
    public DecodeData(AttentionShape shape, int length)
    {
        (Shape, Length) = (shape, length);
        Random random = new(7);
        OrtTensor query = RandomTensors.Create(random, 1, 1, (long)shape.Heads * shape.HeadSize);
        OrtTensor key = RandomTensors.Create(random, 1, 1, (long)shape.KvHeads * shape.HeadSize);
        OrtTensor value = RandomTensors.Create(random, 1, 1, (long)shape.KvHeads * shape.HeadSize);
        OrtTensor keys = RandomTensors.Create(random, 1, shape.KvHeads, length, shape.HeadSize);
        OrtTensor values = RandomTensors.Create(random, 1, shape.KvHeads, length, shape.HeadSize);
        Output = OrtTensor.Zeros<float>(query.Shape);
        Inputs = [query, key, value, keys, values, OrtTensor.Over([length - 1], 1), OrtTensor.Over([length], 1)];
        Outputs = [Output, keys, values];
    }

    public AttentionShape Shape { get; }

    /// <summary>T.</summary>
    public int Length { get; }

    /// <summary>[1, 1, Heads * D].</summary>
    public OrtTensor Output { get; }

    /// <summary>As GroupQueryAttention has them: query, key, value, past_key, past_value, seqlens_k, total_sequence_length.</summary>
    public IReadOnlyList<OrtTensor> Inputs { get; }

    /// <summary>output, present_key, present_value; the last two are past_key and past_value.</summary>
    public IReadOnlyList<OrtTensor> Outputs { get; }

    /// <summary>Floating point operations.</summary>
    public double Operations => 4.0 * Shape.Heads * Shape.HeadSize * Length;

    /// <summary>Bytes of keys and values that must be read.</summary>
    public double Bytes => 2.0 * sizeof(float) * Shape.KvHeads * Shape.HeadSize * Length;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (OrtTensor tensor in Inputs.Append(Output))
        {
            tensor.Dispose();
        }
    }
}
