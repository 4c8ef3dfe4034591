namespace AttentionKernels.Scenes;

/// <summary>Where a person is seen in a frame, in pixels of the video. May reach beyond the picture: the part outside covers nothing.</summary>
/// <param name="Speaker">Name of the person; the same name in a line means the same person.</param>
/// <param name="Left">Left edge.</param>
/// <param name="Top">Top edge.</param>
/// <param name="Width">Width, above 0.</param>
/// <param name="Height">Height, above 0.</param>
public sealed record SpeakerBox(string Speaker, double Left, double Top, double Width, double Height);
