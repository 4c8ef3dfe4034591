using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>ai.attentionkernels::SteeredAttention, version 1: schema and attributes. What it computes: docs/operators.md.</summary>
/// <remarks>Inputs 0 to 11 are those of com.microsoft::GroupQueryAttention, so that a node of that kind turns into this one in place.</remarks>
/// <param name="type">Type T of tensors: Float, Float16 or BFloat16. Arithmetic is float32 for all.</param>
/// <param name="provider">Where nodes run.</param>
internal sealed class SteeredAttentionOp(OnnxElementType type, OnnxProvider provider = OnnxProvider.Cpu) : CustomOp
{
    public const int Query = 0, Key = 1, Value = 2, PastKey = 3, PastValue = 4, SeqlensK = 5, TotalSequenceLength = 6, CosCache = 7,
        AttentionBias = 10, HeadSink = 11, TokenModality = 12, QueryModality = 15, HeadScoresIn = 18;

    public const int Output = 0, PresentKey = 1, PresentValue = 2, HeadScores = 3, Alignment = 4;

    public override string Name => "SteeredAttention";

    public override OnnxProvider Provider => provider;

    public override IReadOnlyList<OpParameter> Inputs { get; } =
    [
        new("query", type),
        new("key", type),
        new("value", type),
        new("past_key", type, Optional: true),
        new("past_value", type, Optional: true),
        new("seqlens_k", OnnxElementType.Int32, Optional: true, OnHost: true),
        new("total_sequence_length", OnnxElementType.Int32, Optional: true, OnHost: true),
        new("cos_cache", type, Optional: true),
        new("sin_cache", type, Optional: true),
        new("position_ids", OnnxElementType.Int64, Optional: true),
        new("attention_bias", type, Optional: true),
        new("head_sink", type, Optional: true),
        .. RoleInputs.Schema("token"),
        .. RoleInputs.Schema("query"),
        new("head_scores_in", OnnxElementType.Float, Optional: true),
    ];

    public override IReadOnlyList<OpParameter> Outputs { get; } =
    [
        new("output", type),
        new("present_key", type, Optional: true),
        new("present_value", type, Optional: true),
        new("head_scores", OnnxElementType.Float, Optional: true),
        new("alignment", OnnxElementType.Float, Optional: true),
    ];

    public ElementType ElementType { get; } = type.ToElementType();

    public override CustomOpKernel CreateKernel(in KernelInfo info)
    {
        string policy = info.String("policy") ?? "social";
        if (policy is not ("social" or "none"))
        {
            throw Argument.Error($"attribute 'policy' is '{policy}', expected 'social' or 'none'");
        }
        float alpha = AttentionAttributes.Finite(info, "alpha", 1);
        float lambda = info.Float("lambda") ?? 5e-5f;
        if (float.IsNaN(lambda))
        {
            throw Argument.Error("attribute 'lambda' is NaN, expected a number");
        }
        AttentionAttributes attributes = AttentionAttributes.Read(info);
        return new SteeredAttentionKernel(this)
        {
            Attributes = attributes,
            Cuda = provider == OnnxProvider.Cuda ? CudaNode.Of(info, ElementType, info.Dimension(Query, -1) / attributes.Heads) : null,
            Rotary = AttentionAttributes.Flag(info, "do_rotary", false),
            RotaryInterleaved = AttentionAttributes.Flag(info, "rotary_interleaved", false),
            // "none" measures and changes nothing, which is what strength 0 does.
            Alpha = policy == "none" ? 0 : alpha,
            Lambda = lambda,
            ClampNegative = AttentionAttributes.Flag(info, "clamp_negative", false),
            Speakers = AttentionAttributes.Count(info, "num_speakers", 63, 63),
        };
    }

    public override void InferShapes(in ShapeInferenceContext context)
    {
        if (context.Input(Query) is not { Shape.Count: 3 } query || context.Int("num_heads") is not long heads || heads <= 0)
        {
            return;
        }
        long kvHeads = context.Int("kv_num_heads") ?? heads;
        OnnxDimension headSize = OnnxDimension.Divide(query.Shape[2], heads), valueSize = OnnxDimension.Unknown, room = OnnxDimension.Unknown;
        if (context.Input(Value) is { Shape.Count: 3 } value && kvHeads > 0)
        {
            valueSize = OnnxDimension.Divide(value.Shape[2], kvHeads);
            // Without a past, present holds just the new keys.
            room = context.Input(PastKey) == null ? value.Shape[1] : room;
        }
        OnnxDimension batch = query.Shape[0], hidden = valueSize.Value >= 0 ? heads * valueSize.Value : OnnxDimension.Unknown;
        // The type of the node, not of this overload: ONNX Runtime asks the first overload for all of them.
        OnnxElementType tensors = query.ElementType;
        context.SetOutput(Output, tensors, batch, query.Shape[1], hidden);
        context.SetOutput(PresentKey, tensors, batch, kvHeads, room, headSize);
        context.SetOutput(PresentValue, tensors, batch, kvHeads, room, valueSize);
        context.SetOutput(HeadScores, OnnxElementType.Float, batch, heads);
        context.SetOutput(Alignment, OnnxElementType.Float, batch, heads, 4);
    }
}
