namespace AttentionKernels.Scenes;

/// <summary>A scene made from TVQA+.</summary>
/// <param name="Scene">The scene.</param>
/// <param name="QuestionId">Number of the question.</param>
/// <param name="VideoName">Name of the clip.</param>
/// <param name="Notes">What the scene is not, or had to leave out: sentences that a report should show.</param>
public sealed record TvqaPlusImport(Scene Scene, int QuestionId, string VideoName, IReadOnlyList<string> Notes);
