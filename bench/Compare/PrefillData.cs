using System.Numerics;
using System.Runtime.InteropServices;
using AttentionKernels.Bench.Nodes;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Bench.Compare;

/// <summary>The tensors of one prefill, float32, batch 1: both sides read the same inputs, and each run writes the same outputs.</summary>
internal sealed unsafe class PrefillData : IDisposable
{
    private readonly List<OrtTensor> _owned = [];

    /// <summary>Makes everything except the two S x S tensors, which are made on first use.</summary>
    public PrefillData(AttentionShape shape, int length, bool causal)
    {
        (Shape, Length, Causal, Roles) = (shape, length, causal, new ClipRoles(length));
        Random random = new(7);
        Query = Own(RandomTensors.Create(random, 1, length, (long)shape.Heads * shape.HeadSize));
        Key = Own(RandomTensors.Create(random, 1, length, (long)shape.KvHeads * shape.HeadSize));
        Value = Own(RandomTensors.Create(random, 1, length, (long)shape.KvHeads * shape.HeadSize));
        Output = Own(OrtTensor.Zeros<float>(Query.Shape));
        PresentKey = Own(OrtTensor.Zeros<float>(1, shape.KvHeads, length, shape.HeadSize));
        PresentValue = Own(OrtTensor.Zeros<float>(PresentKey.Shape));
        HeadScores = Own(OrtTensor.Zeros<float>(1, shape.Heads));
        Modality = Own(OrtTensor.Over(Roles.Modality, 1, length));
        Speakers = Own(OrtTensor.Over(Roles.Speakers, 1, length));
        Frames = Own(OrtTensor.Over(Roles.Spans, 1, length, 2));
        SeqlensK = Own(OrtTensor.Over([length - 1], 1));
        TotalLength = Own(OrtTensor.Over([length], 1));
    }

    public AttentionShape Shape { get; }

    /// <summary>S = T.</summary>
    public int Length { get; }

    public bool Causal { get; }

    public ClipRoles Roles { get; }

    /// <summary>[1, S, Heads * D].</summary>
    public OrtTensor Query { get; }

    /// <summary>[1, S, KvHeads * D].</summary>
    public OrtTensor Key { get; }

    /// <summary>[1, S, KvHeads * D].</summary>
    public OrtTensor Value { get; }

    /// <summary>[1, S, Heads * D].</summary>
    public OrtTensor Output { get; }

    /// <summary>[1, KvHeads, S, D].</summary>
    public OrtTensor PresentKey { get; }

    /// <summary>[1, KvHeads, S, D].</summary>
    public OrtTensor PresentValue { get; }

    /// <summary>[1, Heads].</summary>
    public OrtTensor HeadScores { get; }

    /// <summary>[1, S].</summary>
    public OrtTensor Modality { get; }

    /// <summary>[1, S].</summary>
    public OrtTensor Speakers { get; }

    /// <summary>[1, S, 2].</summary>
    public OrtTensor Frames { get; }

    /// <summary>[1].</summary>
    public OrtTensor SeqlensK { get; }

    /// <summary>[1].</summary>
    public OrtTensor TotalLength { get; }

    /// <summary>[1, Heads, S, S] the social bias of active heads written out: alpha 1 times the row's largest logit over V_all, on aligned keys. The same steering as ours.</summary>
    public OrtTensor DenseBias => field ??= Own(CreateBias());

    /// <summary>[1, Heads, S, S] receives logits or probabilities.</summary>
    public OrtTensor Qk => field ??= Own(OrtTensor.Zeros<float>(1, Shape.Heads, Length, Length));

    /// <summary>Floating point operations of plain attention over the pairs that the mask leaves: two products of 2 D each.</summary>
    public double Operations => 4.0 * Shape.Heads * Shape.HeadSize * (Causal ? Length * (Length + 1.0) / 2 : (double)Length * Length);

    /// <inheritdoc/>
    public void Dispose() => _owned.ForEach(tensor => tensor.Dispose());

    private OrtTensor Own(OrtTensor tensor)
    {
        _owned.Add(tensor);
        return tensor;
    }

    private OrtTensor CreateBias()
    {
        OrtTensor bias = OrtTensor.Zeros<float>(1, Shape.Heads, Length, Length);
        float scale = 1 / MathF.Sqrt(Shape.HeadSize);
        Parallel.For(0, Shape.Heads, h =>
        {
            float* query = (float*)Query.Data + (h * Shape.HeadSize);
            float* key = (float*)Key.Data + (h / (Shape.Heads / Shape.KvHeads) * Shape.HeadSize);
            for (int u = 0; u < Roles.Spoken.Length; u++)
            {
                int row = Roles.Spoken[u];
                float largest = float.NegativeInfinity;
                foreach (int v in Roles.Boxed)
                {
                    if (!Causal || v <= row)
                    {
                        float* q = query + ((long)row * Shape.Heads * Shape.HeadSize), k = key + ((long)v * Shape.KvHeads * Shape.HeadSize);
                        largest = Math.Max(largest, scale * Dot(new Span<float>(q, Shape.HeadSize), new Span<float>(k, Shape.HeadSize)));
                    }
                }
                float* target = (float*)bias.Data + (((h * (long)Length) + row) * Length);
                foreach ((int first, int end) in Roles.Aligned[u])
                {
                    new Span<float>(target + first, end - first).Fill(largest);
                }
            }
        });
        return bias;
    }

    // Head sizes are multiples of every vector's length.
    private static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        ReadOnlySpan<Vector<float>> x = MemoryMarshal.Cast<float, Vector<float>>(a), y = MemoryMarshal.Cast<float, Vector<float>>(b);
        Vector<float> sum = default;
        for (int i = 0; i < x.Length; i++)
        {
            sum += x[i] * y[i];
        }
        return Vector.Sum(sum);
    }
}
