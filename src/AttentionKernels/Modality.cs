namespace AttentionKernels;

/// <summary>What a token stands for. The values are those of the operators' <c>token_modality</c> input.</summary>
public enum Modality : byte
{
    /// <summary>Prompt text.</summary>
    Text = 0,

    /// <summary>A cell of an image or a video frame.</summary>
    Visual = 1,

    /// <summary>Audio.</summary>
    Audio = 2,

    /// <summary>System prompt.</summary>
    System = 3,

    /// <summary>Text that the model generated.</summary>
    Generated = 4,

    /// <summary>Not a token: ignored by every rule.</summary>
    Padding = 255,
}
