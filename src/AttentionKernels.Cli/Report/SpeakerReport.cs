namespace AttentionKernels.Cli.Report;

/// <summary>One person of a scene.</summary>
/// <param name="Name">The name.</param>
/// <param name="Lines">Transcript lines that the person speaks.</param>
/// <param name="SpokenTokens">Tokens of these lines.</param>
/// <param name="BoxedTokens">Tokens of the video inside the person's boxes.</param>
internal sealed record SpeakerReport(string Name, int Lines, int SpokenTokens, int BoxedTokens);
