namespace AttentionKernels.Scenes;

/// <summary>A token and the characters that it stands for.</summary>
/// <param name="Id">Index in the vocabulary, at least 0.</param>
/// <param name="Start">First UTF-16 character in the encoded text.</param>
/// <param name="Length">UTF-16 characters. Tokens that share a character (a byte-level tokenizer splits some) all report it.</param>
public readonly record struct TextToken(int Id, int Start, int Length);
