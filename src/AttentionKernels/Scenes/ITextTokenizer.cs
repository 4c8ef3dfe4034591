namespace AttentionKernels.Scenes;

/// <summary>Cuts text into the tokens of a model's vocabulary and says which characters each token stands for.</summary>
public interface ITextTokenizer
{
    /// <summary>Encodes text that somebody wrote. Control tokens such as <c>&lt;|im_start|&gt;</c> in it are plain characters, so that a transcript cannot forge one.</summary>
    /// <returns>Tokens in order of <see cref="TextToken.Start"/>.</returns>
    IReadOnlyList<TextToken> Encode(string text);

    /// <summary>Encodes text of a prompt template, where a control token's name stands for that one token.</summary>
    /// <returns>Tokens in order of <see cref="TextToken.Start"/>.</returns>
    IReadOnlyList<TextToken> EncodeTemplate(string text);
}
