using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>
/// ai.onnx::Attention of opsets 23 to 25 in place of ONNX Runtime's own: schema and attributes. One schema serves every opset, for each
/// adds inputs or attributes to the one before. What it computes: docs/operators.md.
/// </summary>
/// <param name="type">Type of tensors: T1 and T2 of the specification, which must be one.</param>
/// <param name="mask">Type U of the mask: <paramref name="type"/> or Bool.</param>
/// <param name="provider">Where nodes run.</param>
internal sealed class OnnxAttentionOp(OnnxElementType type, OnnxElementType mask, OnnxProvider provider = OnnxProvider.Cpu) : CustomOp
{
    public const int Query = 0, Key = 1, Value = 2, Mask = 3, PastKey = 4, PastValue = 5, KeyLengths = 6;

    public const int Output = 0, PresentKey = 1, PresentValue = 2, Matrix = 3;

    /// <summary>Every combination of types and providers, to be registered in the empty domain.</summary>
    public static IEnumerable<OnnxAttentionOp> Overloads { get; } =
    [
        .. from provider in (OnnxProvider[])[OnnxProvider.Cpu, OnnxProvider.Cuda]
           from type in (OnnxElementType[])[OnnxElementType.Float, OnnxElementType.Float16, OnnxElementType.BFloat16]
           from mask in (OnnxElementType[])[type, OnnxElementType.Bool]
           select new OnnxAttentionOp(type, mask, provider),
    ];

    public override string Name => "Attention";

    public override OnnxProvider Provider => provider;

    public override IReadOnlyList<OpParameter> Inputs { get; } =
    [
        new("Q", type),
        new("K", type),
        new("V", type),
        new("attn_mask", mask, Optional: true),
        new("past_key", type, Optional: true),
        new("past_value", type, Optional: true),
        new("nonpad_kv_seqlen", OnnxElementType.Int64, Optional: true, OnHost: true),
    ];

    public override IReadOnlyList<OpParameter> Outputs { get; } =
    [
        new("Y", type),
        new("present_key", type, Optional: true),
        new("present_value", type, Optional: true),
        new("qk_matmul_output", type, Optional: true),
    ];

    public ElementType ElementType { get; } = type.ToElementType();

    public override CustomOpKernel CreateKernel(in KernelInfo info)
    {
        int? heads = OptionalCount(info, "q_num_heads"), kvHeads = OptionalCount(info, "kv_num_heads");
        float? scale = info.Float("scale");
        if (scale is float factor && !(float.IsFinite(factor) && factor >= 0))
        {
            throw Argument.Error($"attribute 'scale' is {factor}, expected a finite number that has a square root");
        }
        float softcap = AttentionAttributes.Finite(info, "softcap", 0);
        if (softcap < 0)
        {
            throw Argument.Error($"attribute 'softcap' is {softcap}, expected 0 (none) or more");
        }
        long mode = info.Int("qk_matmul_output_mode") ?? 0;
        if (mode is < 0 or > 3)
        {
            throw Argument.Error($"attribute 'qk_matmul_output_mode' is {mode}, expected 0..3");
        }
        // The softmax is float32 whatever is asked for, which is at least as exact as 1, 10 and 16, and rounded to the same type as 11.
        if (info.Int("softmax_precision") is long precision and not (1 or 10 or 11 or 16))
        {
            throw Argument.Error($"attribute 'softmax_precision' is {precision}, expected 1 (float), 10 (float16), 11 (double) or 16 (bfloat16)");
        }
        bool causal = AttentionAttributes.Flag(info, "is_causal", false);
        long right = WindowSize(info, "right_window_size"), left = WindowSize(info, "left_window_size");
        if (right > 0 && !causal)
        {
            throw Argument.Error($"attribute 'right_window_size' is {right}, expected -1 or 0, or is_causal = 1: a window that ends behind the row is not supported");
        }
        return new OnnxAttentionKernel(this)
        {
            Node = new OverriddenNode("", Name, info.NodeName),
            Heads = heads,
            KvHeads = kvHeads,
            Scale = scale,
            Softcap = softcap,
            Causal = causal || right == 0,
            // The engine counts the row itself; a window of more keys than there can be is none.
            Window = left is < 0 or >= AttentionProblem.MaxLength ? 0 : (int)left + 1,
            MatrixStage = (LogitStage)mode,
            Cuda = provider == OnnxProvider.Cuda ? Prepare(info, heads) : null,
        };
    }

    /// <summary>Refuses what the device cannot do, and loads its kernels.</summary>
    private CudaNode Prepare(in KernelInfo info, int? heads)
    {
        if (info.HasOutput(Matrix))
        {
            throw CudaNode.MatrixRefusal("qk_matmul_output");
        }
        // The last dimension is that of one head, or of all where the attribute says how many.
        return CudaNode.Of(info, ElementType, info.Dimension(Query, -1) / (heads ?? 1));
    }

    public override void InferShapes(in ShapeInferenceContext context)
    {
        if (context.Input(Query) is not { Shape.Count: 3 or 4 } query || context.Input(Key) is not OnnxTensorType key
            || context.Input(Value) is not OnnxTensorType value || key.Shape.Count != query.Shape.Count || value.Shape.Count != query.Shape.Count)
        {
            return;
        }
        // The type of the node, not of this overload: ONNX Runtime asks the first overload for all of them.
        OnnxElementType tensors = query.ElementType;
        bool flat = query.Shape.Count == 3;
        OnnxDimension batch = query.Shape[0], rows = query.Shape[flat ? 1 : 2], newKeys = key.Shape[flat ? 1 : 2];
        OnnxDimension heads = flat ? Known(context.Int("q_num_heads")) : query.Shape[1];
        OnnxDimension kvHeads = flat ? Known(context.Int("kv_num_heads")) : key.Shape[1];
        OnnxDimension size = flat ? Divide(key.Shape[2], kvHeads) : key.Shape[3];
        OnnxDimension valueSize = flat ? Divide(value.Shape[2], kvHeads) : value.Shape[3];
        OnnxDimension keys = context.Input(PastKey) is not OnnxTensorType past ? newKeys
            : past.Shape.Count == 4 && past.Shape[2].Value >= 0 && newKeys.Value >= 0 ? past.Shape[2].Value + newKeys.Value
            : OnnxDimension.Unknown;
        if (flat)
        {
            OnnxDimension hidden = heads.Value >= 0 && valueSize.Value >= 0 ? heads.Value * valueSize.Value : OnnxDimension.Unknown;
            context.SetOutput(Output, tensors, batch, rows, hidden);
        }
        else
        {
            context.SetOutput(Output, tensors, batch, heads, rows, valueSize);
        }
        context.SetOutput(PresentKey, tensors, batch, kvHeads, keys, size);
        context.SetOutput(PresentValue, tensors, batch, kvHeads, keys, valueSize);
        context.SetOutput(Matrix, tensors, batch, heads, rows, keys);

        static OnnxDimension Known(long? count) => count is > 0 and long known ? known : OnnxDimension.Unknown;

        static OnnxDimension Divide(OnnxDimension hidden, OnnxDimension heads) =>
            hidden.Value >= 0 && heads.Value > 0 && hidden.Value % heads.Value == 0 ? hidden.Value / heads.Value : OnnxDimension.Unknown;
    }

    private static int? OptionalCount(in KernelInfo info, string name) =>
        info.Int(name) is null ? null : AttentionAttributes.Count(info, name, null, AttentionProblem.MaxLength);

    private static long WindowSize(in KernelInfo info, string name)
    {
        long size = info.Int(name) ?? -1;
        return size >= -1 ? size : throw Argument.Error($"attribute '{name}' is {size}, expected -1 (none) or more");
    }
}
