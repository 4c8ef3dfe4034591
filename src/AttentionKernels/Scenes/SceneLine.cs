namespace AttentionKernels.Scenes;

/// <summary>A line of the transcript.</summary>
/// <param name="Speaker">Who speaks. Need not be visible anywhere.</param>
/// <param name="Start">Seconds at which the line begins.</param>
/// <param name="End">Seconds at which the line ends, not before <paramref name="Start"/>.</param>
/// <param name="Text">What is said, without line breaks.</param>
public sealed record SceneLine(string Speaker, double Start, double End, string Text);
