using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>com.microsoft::GroupQueryAttention in place of ONNX Runtime's own: schema and attributes. What it computes: docs/override.md.</summary>
/// <param name="type">Type T of tensors: Float, Float16 or BFloat16.</param>
/// <param name="cache">Type of the key/value cache. Others than T are in the schema to be refused by name.</param>
/// <param name="provider">Where nodes run.</param>
internal sealed class GroupQueryAttentionOp(OnnxElementType type, OnnxElementType cache, OnnxProvider provider = OnnxProvider.Cpu) : CustomOp
{
    public const int PastKey = 3, SeqlensK = 5, TotalSequenceLength = 6, CosCache = 7, AttentionBias = 10, HeadSink = 11;

    public const int Output = 0, PresentKey = 1, PresentValue = 2, OutputQk = 3;

    private const int KScale = 12;

    /// <summary>Every combination of types and providers, to be registered in domain com.microsoft.</summary>
    public static IEnumerable<GroupQueryAttentionOp> Overloads { get; } =
    [
        .. from provider in (OnnxProvider[])[OnnxProvider.Cpu, OnnxProvider.Cuda]
           from cache in (OnnxElementType?[])[null, OnnxElementType.UInt8, OnnxElementType.Int8, OnnxElementType.Float8E4M3FN]
           from type in (OnnxElementType[])[OnnxElementType.Float, OnnxElementType.Float16, OnnxElementType.BFloat16]
           select new GroupQueryAttentionOp(type, cache ?? type, provider),
    ];

    public override string Name => "GroupQueryAttention";

    public override OnnxProvider Provider => provider;

    public override IReadOnlyList<OpParameter> Inputs { get; } =
    [
        new("query", type),
        new("key", type, Optional: true),
        new("value", type, Optional: true),
        new("past_key", cache, Optional: true),
        new("past_value", cache, Optional: true),
        new("seqlens_k", OnnxElementType.Int32),
        new("total_sequence_length", OnnxElementType.Int32, OnHost: true),
        new("cos_cache", type, Optional: true),
        new("sin_cache", type, Optional: true),
        new("position_ids", OnnxElementType.Int64, Optional: true),
        new("attention_bias", type, Optional: true),
        new("head_sink", type, Optional: true),
        new("k_scale", OnnxElementType.Float, Optional: true),
        new("v_scale", OnnxElementType.Float, Optional: true),
        new("q_norm_weight", type, Optional: true),
        new("k_norm_weight", type, Optional: true),
    ];

    public override IReadOnlyList<OpParameter> Outputs { get; } =
    [
        new("output", type),
        new("present_key", cache, Optional: true),
        new("present_value", cache, Optional: true),
        new("output_qk", type, Optional: true),
    ];

    public ElementType ElementType { get; } = type.ToElementType();

    public override CustomOpKernel CreateKernel(in KernelInfo info)
    {
        RefuseUnsupported(info);
        AttentionAttributes attributes = AttentionAttributes.Read(info);
        if (attributes.Window > 0 && !attributes.Causal)
        {
            throw Argument.Error($"attribute 'local_window_size' is {attributes.Window}, expected -1 (none) because causal is 0");
        }
        long smooth = info.Int("smooth_softmax") ?? -1;
        if (smooth is < -1 or > 1)
        {
            throw Argument.Error($"attribute 'smooth_softmax' is {smooth}, expected -1, 0 or 1");
        }
        if (smooth == 1 && info.HasInput(HeadSink))
        {
            throw Argument.Error("attribute 'smooth_softmax' is 1, expected 0 because input 'head_sink' is given");
        }
        long qk = info.Int("qk_output") ?? 0;
        if (qk is < 0 or > 2)
        {
            throw Argument.Error($"attribute 'qk_output' is {qk}, expected 0 (none), 1 (logits) or 2 (probabilities)");
        }
        if (qk != 0 != info.HasOutput(OutputQk))
        {
            throw Argument.Error($"attribute 'qk_output' is {qk}, expected {(qk == 0 ? "1 or 2 because output 'output_qk' is listed" : "0 because output 'output_qk' is not listed")}");
        }
        return new GroupQueryAttentionKernel(this)
        {
            Node = new OverriddenNode("com.microsoft", Name, info.NodeName),
            Attributes = attributes,
            Rotary = AttentionAttributes.Flag(info, "do_rotary", false),
            RotaryInterleaved = AttentionAttributes.Flag(info, "rotary_interleaved", false),
            SmoothSoftmax = smooth == 1,
            LogitStage = qk == 2 ? LogitStage.Probability : LogitStage.Masked,
            Cuda = provider == OnnxProvider.Cuda ? Prepare(info, attributes) : null,
        };
    }

    public override void InferShapes(in ShapeInferenceContext context)
    {
        if (context.Input(TokenInputs.Query) is not { Shape.Count: 3 } query || context.Int("num_heads") is not (> 0 and long heads)
            || context.Int("kv_num_heads") is not (> 0 and long kvHeads))
        {
            return;
        }
        bool packed = context.Input(TokenInputs.Key) == null;
        OnnxDimension batch = query.Shape[0], rows = query.Shape[1];
        OnnxDimension size = OnnxDimension.Divide(query.Shape[2], packed ? heads + (2 * kvHeads) : heads), valueSize = packed ? size : OnnxDimension.Unknown;
        if (context.Input(TokenInputs.Value) is { Shape.Count: 3 } value)
        {
            valueSize = OnnxDimension.Divide(value.Shape[2], kvHeads);
        }
        // Types of the node, not of this overload: ONNX Runtime asks the first overload for all of them.
        OnnxTensorType? past = context.Input(PastKey);
        OnnxElementType tensors = query.ElementType, cached = past?.ElementType ?? tensors;
        context.SetOutput(Output, tensors, batch, rows, valueSize.Value >= 0 ? heads * valueSize.Value : OnnxDimension.Unknown);
        // present is as long as the longer of past and total_sequence_length, whose value nobody knows yet.
        context.SetOutput(PresentKey, cached, batch, kvHeads, OnnxDimension.Unknown, size);
        context.SetOutput(PresentValue, cached, batch, kvHeads, OnnxDimension.Unknown, valueSize);
        context.SetOutput(OutputQk, tensors, batch, heads, rows, OnnxDimension.Unknown);
    }

    /// <summary>Refuses what the device cannot do, and loads its kernels.</summary>
    private CudaNode Prepare(in KernelInfo info, in AttentionAttributes attributes)
    {
        if (info.HasOutput(OutputQk))
        {
            throw CudaNode.MatrixRefusal("output_qk");
        }
        int heads = info.HasInput(TokenInputs.Key) ? attributes.Heads : attributes.Heads + (2 * attributes.KvHeads);
        return CudaNode.Of(info, ElementType, info.Dimension(TokenInputs.Query, -1) / heads);
    }

    /// <summary>What ONNX Runtime's schema knows and this library does not compute.</summary>
    private void RefuseUnsupported(in KernelInfo info)
    {
        foreach (string attribute in (string[])["k_quant_type", "v_quant_type"])
        {
            if (info.String(attribute) is string kind && kind != "NONE")
            {
                throw Refusal($"attribute '{attribute}' is '{kind}', expected 'NONE': a quantised key/value cache is not supported");
            }
        }
        foreach (string attribute in (string[])["kv_cache_bit_width", "sliding_window_cache"])
        {
            if (info.Int(attribute) is long value and not 0)
            {
                throw Refusal($"attribute '{attribute}' is {value}, expected 0: {(attribute[0] == 'k' ? "a quantised key/value cache" : "a cache that drops old keys")} is not supported");
            }
        }
        if (cache != type)
        {
            throw Refusal($"input 'past_key' is {cache}, expected {type} as 'query': a quantised key/value cache is not supported");
        }
        for (int i = KScale; i < Inputs.Count; i++)
        {
            if (info.HasInput(i))
            {
                throw Refusal($"input '{Inputs[i].Name}' is given, expected none: {(i < KScale + 2 ? "a quantised key/value cache" : "normalisation of query and key")} is not supported");
            }
        }
    }

    private static OrtException Refusal(string reason) =>
        new(OrtErrorCode.NotImplemented, $"{reason}; register without AttentionOverrides.GroupQueryAttention to run it with ONNX Runtime's own kernel");
}
