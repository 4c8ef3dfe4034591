using System.Globalization;
using AttentionKernels.Scenes;

namespace AttentionKernels.Bench.Compare;

/// <summary>Roles of a sequence as a real clip has them: 8 frames of 640 x 360 with four people in boxes, and 400 tokens of transcript, laid out for Qwen2.5-VL.</summary>
/// <remarks>
/// That takes about 1,640 tokens. A longer sequence gets the same clip and a longer question, which nobody speaks. A shorter one gets a quarter of its
/// tokens as transcript and as many frames (an even number: two share a grid) as the rest has room for: 2 at 512, 4 at 1024.
/// </remarks>
internal sealed class ClipRoles
{
    private const int Frames = 8;
    private const int TranscriptTokens = 400;
    private const int LineTokens = 16; // name, colon, words, newline
    private const double Seconds = 60;
    private static readonly string[] Names = ["Ana", "Ben", "Cleo", "Dan"];

    /// <summary>Lays the clip out.</summary>
    /// <param name="length">Tokens, at least 400.</param>
    public ClipRoles(int length)
    {
        TranscriptLength = Math.Min(TranscriptTokens, length / 4 / LineTokens * LineTokens);
        SceneTokens tokens = Fit(length);
        (Modality, Speakers, Spans) = (tokens.Modality, tokens.Speakers, tokens.Frames);
        Spoken = [.. Enumerable.Range(0, length).Where(t => Modality[t] == (byte)AttentionKernels.Modality.Text && Speakers[t] != 0)];
        Boxed = [.. Enumerable.Range(0, length).Where(t => Modality[t] == (byte)AttentionKernels.Modality.Visual && Speakers[t] != 0)];
        BoxedRuns = Runs(Boxed);
        Aligned = [.. Spoken.Select(row => Runs(Boxed.Where(key => AreAligned(row, key))))];
    }

    /// <summary>Sampled frames that fitted.</summary>
    public int FrameCount { get; private set; }

    /// <summary>Tokens of transcript.</summary>
    public int TranscriptLength { get; }

    /// <summary>[T] values of <see cref="AttentionKernels.Modality"/>.</summary>
    public byte[] Modality { get; }

    /// <summary>[T] bit masks.</summary>
    public long[] Speakers { get; }

    /// <summary>[T, 2] frames [first, end).</summary>
    public int[] Spans { get; }

    /// <summary>U: the rows of spoken text, ascending.</summary>
    public int[] Spoken { get; }

    /// <summary>V_all: the keys inside a box, ascending.</summary>
    public int[] Boxed { get; }

    /// <summary>V_all as runs [first, end).</summary>
    public (int First, int End)[] BoxedRuns { get; }

    /// <summary>For each row of U the keys that it is aligned with, as runs [first, end).</summary>
    public (int First, int End)[][] Aligned { get; }

    private SceneTokens Fit(int length)
    {
        for (int frames = Frames; frames >= 2; frames -= 2)
        {
            int tokens = Lay(frames, 0).Length;
            if (tokens <= length)
            {
                FrameCount = frames;
                return Lay(frames, length - tokens);
            }
        }
        throw new ArgumentOutOfRangeException(nameof(length), length, "expected room for two frames and a transcript");
    }

    private SceneTokens Lay(int frames, int questionTokens)
    {
        VideoSize video = new(640, 360);
        SceneFrame[] sampled = [.. Enumerable.Range(0, frames).Select(f => new SceneFrame((f + 0.5) * Seconds / frames, [.. Names.Select((name, n) => Box(name, n, f))]))];
        int count = TranscriptLength / LineTokens;
        SceneLine[] lines = [.. Enumerable.Range(0, count).Select(l => new SceneLine(
            Names[l * 7 / 3 % Names.Length], l * Seconds / count, (l + 1) * Seconds / count, string.Join(' ', Enumerable.Repeat("word", LineTokens - 3))))];
        string? question = questionTokens == 0 ? null : string.Join(' ', Enumerable.Repeat("what", questionTokens));
        return SceneTokens.Create(new Scene(video, sampled, lines, null, question), VisualGeometry.Qwen25Vl(video), new WordTokenizer(1 << 16));
    }

    // Four people side by side, each about 140 x 275 pixels, who move a little; neighbours overlap.
    private static SpeakerBox Box(string name, int n, int frame) =>
        new(name, 30 + (n * 145) + (3 * frame), 70 + (12 * ((n + frame) % 3)), 150, 275);

    private bool AreAligned(int row, int key) =>
        (Speakers[row] & Speakers[key]) != 0 && Spans[2 * row] < Spans[(2 * key) + 1] && Spans[2 * key] < Spans[(2 * row) + 1];

    private static (int First, int End)[] Runs(IEnumerable<int> keys)
    {
        List<(int First, int End)> runs = [];
        foreach (int key in keys)
        {
            if (runs.Count > 0 && runs[^1].End == key)
            {
                runs[^1] = (runs[^1].First, key + 1);
            }
            else
            {
                runs.Add((key, key + 1));
            }
        }
        return [.. runs];
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"{FrameCount} frames, {TranscriptLength} transcript tokens, |U| {Spoken.Length}, |V_all| {Boxed.Length}");
}
