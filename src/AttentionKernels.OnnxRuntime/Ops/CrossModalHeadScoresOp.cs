using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>
/// ai.attentionkernels::CrossModalHeadScores, version 1: how strongly each head attends from spoken text to speakers' boxes, without
/// values or outputs. What it computes: docs/operators.md.
/// </summary>
/// <param name="type">Type T of tensors: Float, Float16 or BFloat16.</param>
/// <param name="provider">Where nodes run.</param>
internal sealed class CrossModalHeadScoresOp(OnnxElementType type, OnnxProvider provider = OnnxProvider.Cpu) : CustomOp
{
    public const int Query = 0, Key = 1, PastKey = 2, SeqlensK = 3, TotalSequenceLength = 4, TokenModality = 5, QueryModality = 8;

    public const int HeadScores = 0, SpeakerScores = 1;

    public override string Name => "CrossModalHeadScores";

    public override OnnxProvider Provider => provider;

    public override IReadOnlyList<OpParameter> Inputs { get; } =
    [
        new("query", type),
        new("key", type),
        new("past_key", type, Optional: true),
        new("seqlens_k", OnnxElementType.Int32, Optional: true, OnHost: true),
        new("total_sequence_length", OnnxElementType.Int32, Optional: true, OnHost: true),
        .. RoleInputs.Schema("token"),
        .. RoleInputs.Schema("query"),
    ];

    public override IReadOnlyList<OpParameter> Outputs { get; } =
    [
        new("head_scores", OnnxElementType.Float),
        new("speaker_scores", OnnxElementType.Float, Optional: true),
    ];

    public ElementType ElementType { get; } = type.ToElementType();

    public override CustomOpKernel CreateKernel(in KernelInfo info)
    {
        AttentionAttributes attributes = AttentionAttributes.Read(info);
        return new CrossModalHeadScoresKernel(this)
        {
            Attributes = attributes,
            Speakers = AttentionAttributes.Count(info, "num_speakers", null, 63),
            Cuda = provider == OnnxProvider.Cuda ? CudaNode.Of(info, ElementType, info.Dimension(Query, -1) / attributes.Heads) : null,
        };
    }

    public override void InferShapes(in ShapeInferenceContext context)
    {
        if (context.Input(Query) is not { Shape.Count: 3 } query || context.Int("num_heads") is not long heads || heads <= 0)
        {
            return;
        }
        context.SetOutput(HeadScores, OnnxElementType.Float, query.Shape[0], heads);
        if (context.Int("num_speakers") is > 0 and long speakers)
        {
            context.SetOutput(SpeakerScores, OnnxElementType.Float, query.Shape[0], heads, speakers);
        }
    }
}
