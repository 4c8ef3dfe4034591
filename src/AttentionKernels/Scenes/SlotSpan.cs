namespace AttentionKernels.Scenes;

/// <summary>Which tokens are a temporal slot of the video, in row-major order of its grid.</summary>
/// <param name="Slot">Index of the slot.</param>
/// <param name="FirstToken">First token.</param>
/// <param name="EndToken">Token after the last one.</param>
/// <param name="FirstFrame">First sampled frame of the slot.</param>
/// <param name="EndFrame">Sampled frame after the last one.</param>
public readonly record struct SlotSpan(int Slot, int FirstToken, int EndToken, int FirstFrame, int EndFrame);
