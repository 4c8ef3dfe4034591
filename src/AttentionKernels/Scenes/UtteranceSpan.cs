namespace AttentionKernels.Scenes;

/// <summary>Which tokens are a transcript line, name prefix and line end included.</summary>
/// <param name="Line">Index in the scene's lines.</param>
/// <param name="Speaker">Index in <see cref="SceneTokens.SpeakerNames"/>.</param>
/// <param name="FirstToken">First token.</param>
/// <param name="EndToken">Token after the last one.</param>
/// <param name="FirstFrame">First sampled frame during which the line is spoken.</param>
/// <param name="EndFrame">Sampled frame after the last one.</param>
public readonly record struct UtteranceSpan(int Line, int Speaker, int FirstToken, int EndToken, int FirstFrame, int EndFrame);
