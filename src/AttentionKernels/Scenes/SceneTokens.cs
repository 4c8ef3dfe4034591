namespace AttentionKernels.Scenes;

/// <summary>
/// A scene as one token sequence with the roles that the operators take: <see cref="Modality"/>, <see cref="Speakers"/> and <see cref="Frames"/> are the
/// inputs <c>token_modality</c>, <c>token_speakers</c> and <c>token_frames</c> of a batch of one. T = <see cref="Length"/>.
/// </summary>
public sealed class SceneTokens
{
    internal SceneTokens(SceneTokensBuilder builder)
    {
        TokenIds = [.. builder.TokenIds];
        Modality = [.. builder.Modality];
        Speakers = [.. builder.Speakers];
        Frames = [.. builder.Frames];
        PositionIds = [[.. builder.Positions[0]], [.. builder.Positions[1]], [.. builder.Positions[2]]];
        SpeakerNames = builder.SpeakerNames;
        Utterances = builder.Utterances;
        Slots = builder.Slots;
        Geometry = builder.Geometry;
    }

    /// <summary>Tokens T.</summary>
    public int Length => TokenIds.Length;

    /// <summary>[T] indices in the vocabulary; visual tokens all have the layout's <see cref="TokenLayout.VideoToken"/>.</summary>
    public int[] TokenIds { get; }

    /// <summary>[T] values of <see cref="AttentionKernels.Modality"/>.</summary>
    public byte[] Modality { get; }

    /// <summary>[T] bit masks: bit n is speaker n of <see cref="SpeakerNames"/>.</summary>
    public long[] Speakers { get; }

    /// <summary>[T, 2] sampled frames [first, end) to which a visual or spoken token belongs; (0, 0) for other text.</summary>
    public int[] Frames { get; }

    /// <summary>[3][T] temporal, vertical and horizontal position for Qwen2.5-VL's multimodal rotary embedding.</summary>
    public int[][] PositionIds { get; }

    /// <summary>Names of the speakers, in the order of their bits.</summary>
    public IReadOnlyList<string> SpeakerNames { get; }

    /// <summary>The transcript lines, in order.</summary>
    public IReadOnlyList<UtteranceSpan> Utterances { get; }

    /// <summary>The temporal slots of the video, in order.</summary>
    public IReadOnlyList<SlotSpan> Slots { get; }

    /// <summary>The grid by which visual tokens were laid out.</summary>
    public VisualGeometry Geometry { get; }

    /// <summary>Lays a scene out as tokens.</summary>
    /// <param name="scene">The scene.</param>
    /// <param name="geometry">How the model's vision encoder cuts this scene's video into tokens.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="layout">The model's prompt; null: <see cref="TokenLayout.Qwen25Vl"/>.</param>
    /// <param name="rule">When a cell belongs to a box.</param>
    /// <exception cref="SceneException">The scene is not valid.</exception>
    /// <exception cref="ArgumentException">The geometry is empty, the layout's video token is not one token of the tokenizer, or the tokenizer breaks its contract.</exception>
    public static SceneTokens Create(Scene scene, VisualGeometry geometry, ITextTokenizer tokenizer, TokenLayout? layout = null, BoxRule rule = default)
    {
        ArgumentNullException.ThrowIfNull(scene);
        ArgumentNullException.ThrowIfNull(tokenizer);
        scene.Validate();
        return new SceneTokens(new SceneTokensBuilder(scene, geometry, tokenizer, layout ?? TokenLayout.Qwen25Vl, rule));
    }
}
