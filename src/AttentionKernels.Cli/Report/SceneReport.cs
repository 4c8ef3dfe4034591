using AttentionKernels.Cli.Run;
using AttentionKernels.Scenes;

namespace AttentionKernels.Cli.Report;

/// <summary>A scene and the tokens that it became.</summary>
/// <param name="Name">Its path, or the name of the shipped one.</param>
/// <param name="Frames">Sampled frames.</param>
/// <param name="Lines">Transcript lines.</param>
/// <param name="Speakers">Who speaks or is seen, in the order of their bits, with their tokens.</param>
/// <param name="Slots">Temporal slots of the video.</param>
/// <param name="Rows">Rows of a slot's grid.</param>
/// <param name="Columns">Columns of a slot's grid.</param>
/// <param name="Tokens">Tokens in all.</param>
/// <param name="VisualTokens">Tokens of the video.</param>
/// <param name="SpokenTokens">|U|: tokens of transcript lines.</param>
/// <param name="BoxedTokens">|V_all|: tokens of the video inside somebody's box.</param>
internal sealed record SceneReport(
    string Name,
    int Frames,
    int Lines,
    IReadOnlyList<SpeakerReport> Speakers,
    int Slots,
    int Rows,
    int Columns,
    int Tokens,
    int VisualTokens,
    int SpokenTokens,
    int BoxedTokens)
{
    /// <summary>Counts a scene's tokens.</summary>
    public static SceneReport Of(SceneInput scene, SceneTokens tokens)
    {
        bool IsVisual(int t) => tokens.Modality[t] == (byte)Modality.Visual;
        bool IsSpoken(int t) => tokens.Modality[t] == (byte)Modality.Text && tokens.Speakers[t] != 0;
        bool IsBoxed(int t) => IsVisual(t) && tokens.Speakers[t] != 0;
        int Count(Func<int, bool> holds) => Enumerable.Range(0, tokens.Length).Count(holds);

        return new SceneReport(
            scene.Name,
            scene.Scene.Frames.Count,
            scene.Scene.Lines.Count,
            [.. tokens.SpeakerNames.Select((name, n) => new SpeakerReport(
                name,
                scene.Scene.Lines.Count(line => line.Speaker == name),
                Count(t => IsSpoken(t) && (tokens.Speakers[t] >> n & 1) != 0),
                Count(t => IsBoxed(t) && (tokens.Speakers[t] >> n & 1) != 0)))],
            tokens.Slots.Count,
            tokens.Geometry.Rows,
            tokens.Geometry.Columns,
            tokens.Length,
            Count(IsVisual),
            Count(IsSpoken),
            Count(IsBoxed));
    }
}
