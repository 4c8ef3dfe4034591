namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>Sizes and seed of a decoder that <see cref="DecoderGraphBuilder"/> writes.</summary>
internal sealed record DecoderConfig
{
    /// <summary>Decoder layers.</summary>
    public int Layers { get; init; } = 2;

    /// <summary>Size of the residual stream.</summary>
    public int Hidden { get; init; } = 64;

    /// <summary>Query heads.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>Key and value heads; divides <see cref="Heads"/>.</summary>
    public int KvHeads { get; init; } = 2;

    /// <summary>Size of a head, a multiple of 8 (what ONNX Runtime's own GroupQueryAttention takes).</summary>
    public int HeadSize { get; init; } = 16;

    /// <summary>Size inside the feed-forward block.</summary>
    public int Intermediate { get; init; } = 128;

    /// <summary>Tokens that the logits tell apart.</summary>
    public int Vocabulary { get; init; } = 97;

    /// <summary>Base of the rotary frequencies.</summary>
    public float RopeTheta { get; init; } = 1e6f;

    /// <summary>Shares of the rotary frequencies; null: <see cref="MropeSections.For"/> the head size.</summary>
    public MropeSections? Mrope { get; init; }

    /// <summary>Added to the mean square before its root.</summary>
    public float RmsEpsilon { get; init; } = 1e-6f;

    /// <summary>Everything random follows from this number.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Element type of the weights, the embeddings, the logits and the cache.</summary>
    public ElementType Type { get; init; } = ElementType.Float32;

    /// <summary>Whether heads get the sinks and the grounding that random weights lack; see <see cref="PlantedHeads"/>.</summary>
    public bool PlantHeads { get; init; }

    /// <summary>Whether the rotated queries become the outputs <c>query.{i}</c> [B, S, H * D], so that a test can redo an attention (the keys are <c>present.{i}.key</c>).</summary>
    public bool ExportQueries { get; init; }

    /// <summary>The demo's decoder: small enough to read 1600 tokens in a few seconds on two cores, with heads that differ as a real model's do.</summary>
    public static DecoderConfig Demo { get; } = new()
    {
        Layers = 14,
        Hidden = 384,
        Heads = 12,
        KvHeads = 2,
        HeadSize = 64,
        Intermediate = 1024,
        Vocabulary = 512,
        PlantHeads = true,
    };

    /// <summary><see cref="Mrope"/> or its default.</summary>
    public MropeSections Sections => Mrope ?? MropeSections.For(HeadSize);

    /// <summary>Numbers in all weight tensors.</summary>
    public Int128 Parameters
    {
        get
        {
            // Wide enough that no configuration wraps round to a small number.
            Int128 hidden = Hidden;
            Int128 qkv = (hidden + 1) * (Heads + (2L * KvHeads)) * HeadSize;
            Int128 output = hidden * Heads * HeadSize;
            Int128 mlp = 3 * hidden * Intermediate;
            return (Layers * (qkv + output + mlp + (2 * hidden))) + hidden + (hidden * Vocabulary);
        }
    }

    /// <summary>Bytes of all weight tensors.</summary>
    public Int128 WeightBytes => Parameters * Type.Size();

    /// <summary>Refuses sizes that make no decoder.</summary>
    /// <exception cref="OnnxModelException">Names the property, its value and what was expected.</exception>
    public void Check()
    {
        Require(Type is ElementType.Float32 or ElementType.Float16, nameof(Type), Type, "Float32 or Float16: ONNX Runtime's CPU provider multiplies no other matrices");
        RequirePositive(Layers, nameof(Layers));
        RequirePositive(Hidden, nameof(Hidden));
        RequirePositive(Heads, nameof(Heads));
        RequirePositive(KvHeads, nameof(KvHeads));
        RequirePositive(HeadSize, nameof(HeadSize));
        RequirePositive(Intermediate, nameof(Intermediate));
        RequirePositive(Vocabulary, nameof(Vocabulary));
        Require(Heads % KvHeads == 0, nameof(Heads), Heads, $"a multiple of {nameof(KvHeads)} = {KvHeads}");
        Require(HeadSize % 8 == 0, nameof(HeadSize), HeadSize, "a multiple of 8");
        Require(RopeTheta > 0 && float.IsFinite(RopeTheta), nameof(RopeTheta), RopeTheta, "a positive number");
        Require(RmsEpsilon > 0 && float.IsFinite(RmsEpsilon), nameof(RmsEpsilon), RmsEpsilon, "a positive number");
        MropeSections sections = Sections;
        Require(
            sections is { Time: >= 0, Height: >= 0, Width: >= 0 } && sections.Sum == HeadSize / 2,
            nameof(Mrope), sections, $"sections that are not negative and add up to {nameof(HeadSize)} / 2 = {HeadSize / 2}");
        Require(
            !PlantHeads || Hidden > PlantedHeads.ReservedCoordinates(this),
            nameof(Hidden), Hidden, $"more than the {PlantedHeads.ReservedCoordinates(this)} coordinates that planted heads reserve");

        // A protobuf message ends at 2 GiB; the nodes around the weights need room, too.
        Require(WeightBytes < int.MaxValue - (1 << 24), nameof(WeightBytes), WeightBytes, "less than 2 GiB, the limit of an ONNX file without external data; use fewer or smaller layers, or float16");
    }

    private static void RequirePositive(int value, string property) => Require(value > 0, property, value, "a positive number");

    private static void Require(bool holds, string property, object value, string expected)
    {
        if (!holds)
        {
            throw new OnnxModelException(FormattableString.Invariant($"Decoder configuration: {property} is {value}, expected {expected}."));
        }
    }
}
