using AttentionKernels.Bench.Nodes;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Bench.Compare;

/// <summary>A prefill as the engine takes it, over the tensors of <see cref="PrefillData"/>.</summary>
internal sealed unsafe class EngineProblem : IDisposable
{
    private readonly PrefillData _data;

    /// <summary>Makes the tensors of a causal prefill.</summary>
    public EngineProblem(string shape, int length)
        : this(new PrefillData(AttentionShape.Parse(shape), length, causal: true))
    {
    }

    /// <summary>Takes tensors over.</summary>
    public EngineProblem(PrefillData data) => _data = data;

    /// <summary>Plain attention.</summary>
    public AttentionProblem Problem => new()
    {
        Batch = 1,
        Heads = _data.Shape.Heads,
        KvHeads = _data.Shape.KvHeads,
        QueryLength = _data.Length,
        KeyLength = _data.Length,
        HeadSize = _data.Shape.HeadSize,
        ValueHeadSize = _data.Shape.HeadSize,
        Query = View(_data.Query, _data.Shape.Heads),
        Key = View(_data.Key, _data.Shape.KvHeads),
        Value = View(_data.Value, _data.Shape.KvHeads),
        Output = View(_data.Output, _data.Shape.Heads),
        Scale = 1 / MathF.Sqrt(_data.Shape.HeadSize),
        Causal = _data.Causal,
    };

    /// <summary>Every head steered, scores out.</summary>
    public SocialBias Bias => new()
    {
        Keys = new TokenRoles
        {
            Modality = (byte*)_data.Modality.Data,
            Speakers = (long*)_data.Speakers.Data,
            Frames = (int*)_data.Frames.Data,
            Length = _data.Length,
        },
        Alpha = 1,
        Lambda = OwnNodes.LambdaForAllHeads,
        HeadScores = (float*)_data.HeadScores.Data,
    };

    /// <inheritdoc/>
    public void Dispose() => _data.Dispose();

    private TensorView View(OrtTensor tensor, int heads) => TensorView.Bshd(tensor.Data, ElementType.Float32, heads, _data.Length, _data.Shape.HeadSize);
}
