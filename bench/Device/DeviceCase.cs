using AttentionKernels.Bench.Nodes;

namespace AttentionKernels.Bench.Device;

/// <summary>One problem on a device.</summary>
/// <param name="Kind">What is measured.</param>
/// <param name="Type">Element type.</param>
/// <param name="Shape">Heads.</param>
/// <param name="Batch">B.</param>
/// <param name="Rows">S: new rows of each element.</param>
/// <param name="Keys">T; of a prompt S.</param>
/// <param name="Causal">Whether a row sees no later key.</param>
/// <param name="Dense">Whether steering is also compared with PyTorch's ways to add it to logits: a mask [B, H, S, S], and FlexAttention.</param>
internal readonly record struct DeviceCase(DeviceCaseKind Kind, ElementType Type, AttentionShape Shape, int Batch, int Rows, int Keys, bool Causal, bool Dense = false)
{
    // FlashAttention's own benchmark: as many tokens and as wide a layer at each length and head size.
    private const int Tokens = 16384, Width = 2048;

    private const int DenseLength = 8192;

    private static readonly int[] Lengths = [512, 1024, 2048, 4096, 8192, 16384];
    private static readonly AttentionShape[] RealShapes = [new(28, 4, 128), new(16, 2, 128)];
    private static readonly AttentionShape[] DecodeShapes = [new(28, 4, 128), new(32, 32, 128)];

    /// <summary>The whole table.</summary>
    public static IReadOnlyList<DeviceCase> Full { get; } =
    [
        .. from type in (ElementType[])[ElementType.BFloat16, ElementType.Float16]
           from size in (int[])[128, 64, 80, 96]
           from causal in (bool[])[false, true]
           from length in Lengths
           select Prompt(type, new AttentionShape(Width / size, Width / size, size), Tokens / length, length, causal),
        .. from type in (ElementType[])[ElementType.BFloat16, ElementType.Float16]
           from shape in RealShapes
           from length in Lengths.Skip(1)
           select Prompt(type, shape, 1, length, true),
        .. from shape in DecodeShapes from batch in (int[])[1, 8, 32] from keys in (int[])[1024, 2048, 8192, 32768] select Step(shape, batch, keys),
        .. from shape in RealShapes select new DeviceCase(DeviceCaseKind.Append, ElementType.BFloat16, shape, 1, 4096, 4096, true),
        .. from batch in (int[])[1, 8] select new DeviceCase(DeviceCaseKind.Append, ElementType.BFloat16, RealShapes[0], batch, 1, 8192, true),
        new(DeviceCaseKind.Prefill, ElementType.Float32, new(16, 16, 128), 1, 2048, 2048, false),
        new(DeviceCaseKind.Prefill, ElementType.Float32, new(28, 4, 128), 1, 2048, 2048, true),
    ];

    /// <summary>A few of them, at least one for each bar.</summary>
    public static IReadOnlyList<DeviceCase> Quick { get; } =
    [
        Prompt(ElementType.BFloat16, new AttentionShape(16, 16, 128), 8, 2048, false),
        Prompt(ElementType.BFloat16, new AttentionShape(16, 16, 128), 2, DenseLength, false),
        Prompt(ElementType.BFloat16, RealShapes[0], 1, 4096, true),
        Prompt(ElementType.Float16, new AttentionShape(32, 32, 64), 4, 4096, true),
        .. from shape in DecodeShapes from batch in (int[])[1, 8] select Step(shape, batch, 8192),
        new(DeviceCaseKind.Append, ElementType.BFloat16, RealShapes[0], 8, 1, 8192, true),
    ];

    /// <summary>Operations of plain attention as FlashAttention counts them: two products of 2 D for each row and key, half of them with a causal mask.</summary>
    public double Operations => 4.0 * Batch * Shape.Heads * Rows * Keys * Shape.HeadSize / (Causal && Rows > 1 ? 2 : 1);

    /// <summary>Bytes of keys and values, which attention of few rows must read.</summary>
    public double CacheBytes => 2.0 * Batch * Shape.KvHeads * Keys * Shape.HeadSize * Type.Size();

    /// <summary>Bytes that are read and written where new rows are put into a cache: query, key and value each once either way.</summary>
    public double AppendBytes => 2.0 * Batch * Rows * (Shape.Heads + (2 * Shape.KvHeads)) * Shape.HeadSize * Type.Size();

    /// <summary>Whether it is one of the prompts that the bars are for: bfloat16, heads of 128 without groups, 16k tokens, no mask.</summary>
    public bool IsBarPrompt => Kind == DeviceCaseKind.Steered && Type == ElementType.BFloat16 && Shape == new AttentionShape(16, 16, 128) && Batch * Rows == Tokens && !Causal;

    /// <summary>As "bf16 16:16x128 B=2 S=8192 full" or "bf16 28:4x128 B=8 decode T=8192": what --filter looks at.</summary>
    public override string ToString()
    {
        string type = Type switch { ElementType.Float32 => "f32", ElementType.Float16 => "f16", _ => "bf16" };
        return Kind switch
        {
            DeviceCaseKind.Decode => FormattableString.Invariant($"{type} {Shape} B={Batch} decode T={Keys}"),
            DeviceCaseKind.Append => FormattableString.Invariant($"{type} {Shape} B={Batch} append {Rows} T={Keys}"),
            _ => FormattableString.Invariant($"{type} {Shape} B={Batch} S={Rows} {(Causal ? "causal" : "full")}"),
        };
    }

    private static DeviceCase Prompt(ElementType type, AttentionShape shape, int batch, int length, bool causal) => new(
        shape.HeadSize == 128 ? DeviceCaseKind.Steered : DeviceCaseKind.Prefill, type, shape, batch, length, length, causal, shape.HeadSize == 128 && length == DenseLength);

    private static DeviceCase Step(AttentionShape shape, int batch, int keys) => new(DeviceCaseKind.Decode, ElementType.BFloat16, shape, batch, 1, keys, true);
}
