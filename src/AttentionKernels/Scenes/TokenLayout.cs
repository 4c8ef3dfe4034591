namespace AttentionKernels.Scenes;

/// <summary>
/// The fixed text around the parts of a prompt. The order is: system prompt, video, transcript, question, each between its prefix and its suffix.
/// The video stands before the words, so that words can attend to it in a causal model.
/// </summary>
/// <remarks>
/// <code>
/// SystemPrefix  system prompt  SystemSuffix                         only if the scene or the layout has a system prompt
/// UserPrefix  VideoPrefix  VideoToken * slots * cells  VideoSuffix
/// "Name: text\n" for each line  question  UserSuffix
/// </code>
/// Prefixes and suffixes are template text, in which control tokens have their meaning.
/// </remarks>
public sealed record TokenLayout
{
    /// <summary>Text before the system prompt.</summary>
    public string SystemPrefix { get; init; } = "";

    /// <summary>System prompt of a scene that has none; null: no system part.</summary>
    public string? DefaultSystemPrompt { get; init; }

    /// <summary>Text after the system prompt.</summary>
    public string SystemSuffix { get; init; } = "";

    /// <summary>Text before the video.</summary>
    public string UserPrefix { get; init; } = "";

    /// <summary>Marker before the first visual token.</summary>
    public string VideoPrefix { get; init; } = "";

    /// <summary>Template text of exactly one token that stands for each visual token; hosts replace its embedding by the vision encoder's.</summary>
    public string VideoToken { get; init; } = "<|video_pad|>";

    /// <summary>Marker after the last visual token.</summary>
    public string VideoSuffix { get; init; } = "";

    /// <summary>Text after the question; it ends with what makes the model answer.</summary>
    public string UserSuffix { get; init; } = "";

    /// <summary>
    /// Positions by which the temporal rotary axis advances in a second of video: <c>tokens_per_second</c> of the model's vision configuration, 2 for Qwen2.5-VL.
    /// </summary>
    public double PositionsPerSecond { get; init; } = 2;

    /// <summary>
    /// Seconds from one temporal slot to the next; null: taken from the scene's frame times. Set it when the host tells the model a fixed frame rate
    /// (frames per slot / frames per second).
    /// </summary>
    public double? SecondsPerSlot { get; init; }

    /// <summary>No chat template: video, transcript, question.</summary>
    public static TokenLayout Plain { get; } = new();

    /// <summary>The chat template of Qwen2.5-VL-Instruct with one user turn.</summary>
    public static TokenLayout Qwen25Vl { get; } = new()
    {
        SystemPrefix = "<|im_start|>system\n",
        DefaultSystemPrompt = "You are a helpful assistant.",
        SystemSuffix = "<|im_end|>\n",
        UserPrefix = "<|im_start|>user\n",
        VideoPrefix = "<|vision_start|>",
        VideoToken = "<|video_pad|>",
        VideoSuffix = "<|vision_end|>",
        UserSuffix = "<|im_end|>\n<|im_start|>assistant\n",
    };
}
