using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>com.microsoft::MultiHeadAttention in place of ONNX Runtime's own: schema and attributes. What it computes: docs/override.md.</summary>
/// <param name="type">Type T of tensors: Float, Float16 or BFloat16.</param>
/// <param name="provider">Where nodes run.</param>
internal sealed class MultiHeadAttentionOp(OnnxElementType type, OnnxProvider provider = OnnxProvider.Cpu) : CustomOp
{
    public const int ProjectionBias = 3, PaddingMask = 4, AttentionBias = 5, PastKey = 6, PastSequenceLength = 8;

    public const int Output = 0, PresentKey = 1, PresentValue = 2, Qk = 3;

    private const int CacheIndirection = 9;

    /// <summary>Every type and provider, to be registered in domain com.microsoft.</summary>
    public static IEnumerable<MultiHeadAttentionOp> Overloads { get; } =
    [
        .. from provider in (OnnxProvider[])[OnnxProvider.Cpu, OnnxProvider.Cuda]
           from type in (OnnxElementType[])[OnnxElementType.Float, OnnxElementType.Float16, OnnxElementType.BFloat16]
           select new MultiHeadAttentionOp(type, provider),
    ];

    public override string Name => "MultiHeadAttention";

    public override OnnxProvider Provider => provider;

    public override IReadOnlyList<OpParameter> Inputs { get; } =
    [
        new("query", type),
        new("key", type, Optional: true),
        new("value", type, Optional: true),
        new("bias", type, Optional: true),
        new("key_padding_mask", OnnxElementType.Int32, Optional: true),
        new("attention_bias", type, Optional: true),
        new("past_key", type, Optional: true),
        new("past_value", type, Optional: true),
        new("past_sequence_length", OnnxElementType.Int32, Optional: true, OnHost: true),
        new("cache_indirection", OnnxElementType.Int32, Optional: true),
    ];

    public override IReadOnlyList<OpParameter> Outputs { get; } =
    [
        new("output", type),
        new("present_key", type, Optional: true),
        new("present_value", type, Optional: true),
        new("qk", type, Optional: true),
    ];

    public ElementType ElementType { get; } = type.ToElementType();

    public override CustomOpKernel CreateKernel(in KernelInfo info)
    {
        if (info.HasInput(CacheIndirection))
        {
            throw new OrtException(
                OrtErrorCode.NotImplemented,
                "input 'cache_indirection' is given, expected none: beam search over one cache is not supported; "
                + "register without AttentionOverrides.MultiHeadAttention to run it with ONNX Runtime's own kernel");
        }
        int heads = AttentionAttributes.Count(info, "num_heads", null, AttentionProblem.MaxLength);
        float filter = info.Float("mask_filter_value") ?? -10000f;
        return new MultiHeadAttentionKernel(this)
        {
            Node = new OverriddenNode("com.microsoft", Name, info.NodeName),
            Heads = heads,
            Cuda = provider == OnnxProvider.Cuda ? Prepare(info, heads) : null,
            Scale = AttentionAttributes.Finite(info, "scale", 0),
            Unidirectional = AttentionAttributes.Flag(info, "unidirectional", false),
            MaskFilter = float.IsNaN(filter) ? throw Argument.Error("attribute 'mask_filter_value' is NaN, expected a number") : filter,
        };
    }

    /// <summary>Refuses what the device cannot do, and loads its kernels.</summary>
    private CudaNode Prepare(in KernelInfo info, int heads)
    {
        if (info.HasOutput(Qk))
        {
            throw CudaNode.MatrixRefusal("qk");
        }
        // Packed query, key and value [B, S, H, 3, D] have the head size as their last dimension.
        long? size = info.HasInput(TokenInputs.Key) ? info.Dimension(TokenInputs.Query, -1) / heads : info.Dimension(TokenInputs.Query, -1);
        return CudaNode.Of(info, ElementType, size);
    }

    public override void InferShapes(in ShapeInferenceContext context)
    {
        if (context.Input(TokenInputs.Query) is not { Shape.Count: 3 or 5 } query || context.Int("num_heads") is not (> 0 and long heads))
        {
            return;
        }
        OnnxDimension batch = query.Shape[0], rows = query.Shape[1];
        OnnxDimension size = query.Shape.Count == 5 ? query.Shape[4] : OnnxDimension.Divide(query.Shape[2], heads);
        OnnxDimension valueSize = context.Input(TokenInputs.Value) switch
        {
            { Shape.Count: 3 } value => OnnxDimension.Divide(value.Shape[2], heads),
            { Shape.Count: 4 } value => value.Shape[3],
            null => size,
            _ => OnnxDimension.Unknown,
        };
        OnnxDimension newKeys = context.Input(TokenInputs.Key) switch
        {
            null => rows,
            { Shape.Count: 3 or 5 } key => key.Shape[1],
            { Shape.Count: 4 } key => key.Shape[2],
            _ => OnnxDimension.Unknown,
        };
        OnnxDimension keys = newKeys;
        if (context.Input(PastKey) is OnnxTensorType past)
        {
            bool shared = context.Input(PastSequenceLength) != null;
            keys = !shared && past.Shape.Count == 4 && past.Shape[2].Value >= 0 && newKeys.Value >= 0 ? past.Shape[2].Value + newKeys.Value : OnnxDimension.Unknown;
        }
        // The type of the node, not of this overload: ONNX Runtime asks the first overload for all of them.
        OnnxElementType tensors = query.ElementType;
        context.SetOutput(Output, tensors, batch, rows, valueSize.Value >= 0 ? heads * valueSize.Value : OnnxDimension.Unknown);
        context.SetOutput(PresentKey, tensors, batch, heads, keys, size);
        context.SetOutput(PresentValue, tensors, batch, heads, keys, valueSize);
        context.SetOutput(Qk, tensors, batch, heads, rows, keys);
    }
}
