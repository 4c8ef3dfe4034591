namespace AttentionKernels.Scenes;

/// <summary>Size of the video in which boxes are given.</summary>
/// <param name="Width">Pixels, 1..16384.</param>
/// <param name="Height">Pixels, 1..16384.</param>
public readonly record struct VideoSize(int Width, int Height);
