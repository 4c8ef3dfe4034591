using System.Globalization;

namespace AttentionKernels.Scenes;

/// <summary>The rules of a scene. Limits are far above any real use; they keep a wrong file from asking for gigabytes.</summary>
internal static class SceneValidator
{
    private const int MaxSide = 16384;
    private const int MaxFrames = 1024;
    private const int MaxBoxesPerFrame = 256;
    private const int MaxLines = 10_000;
    private const int MaxNameLength = 64;
    private const int MaxLineLength = 10_000;
    private const int MaxPromptLength = 100_000;

    // Nine years of video or a box of a million screens: beyond it, arithmetic on pixels and seconds loses its precision.
    private const double MaxMagnitude = 1e9;

    public static void Check(Scene scene)
    {
        Require(scene.Video.Width is >= 1 and <= MaxSide, "video", $"width is {scene.Video.Width}, expected 1..{MaxSide}");
        Require(scene.Video.Height is >= 1 and <= MaxSide, "video", $"height is {scene.Video.Height}, expected 1..{MaxSide}");
        CheckFrames(scene.Frames);
        CheckLines(scene.Lines);
        if (scene.SystemPrompt != null)
        {
            CheckText("system", "the text", scene.SystemPrompt, MaxPromptLength, allowLineBreaks: true);
        }
        if (scene.Question != null)
        {
            CheckText("question", "the text", scene.Question, MaxPromptLength, allowLineBreaks: true);
        }
        int speakers = scene.Speakers.Count;
        Require(speakers <= Scene.MaxSpeakers, "scene", $"{speakers} different speakers, expected at most {Scene.MaxSpeakers}");
    }

    private static void CheckFrames(IReadOnlyList<SceneFrame> frames)
    {
        Require(frames is { Count: > 0 }, "frames", "the list is empty, expected at least one frame");
        Require(frames.Count <= MaxFrames, "frames", $"{frames.Count} frames, expected at most {MaxFrames}");
        for (int f = 0; f < frames.Count; f++)
        {
            string place = $"frames[{f}]";
            Require(frames[f] != null, place, "is null, expected a frame");
            CheckSize(place, "time", frames[f].Time);
            Require(frames[f].Time >= 0, place, $"time is {Show(frames[f].Time)}, expected >= 0");
            Require(f == 0 || frames[f].Time > frames[f - 1].Time, place, $"time is {Show(frames[f].Time)}, expected later than the frame before");
            Require(frames[f].Boxes != null, place, "boxes is null, expected a list");
            Require(frames[f].Boxes.Count <= MaxBoxesPerFrame, place, $"{frames[f].Boxes.Count} boxes, expected at most {MaxBoxesPerFrame}");
            for (int b = 0; b < frames[f].Boxes.Count; b++)
            {
                CheckBox($"{place}.boxes[{b}]", frames[f].Boxes[b]);
            }
        }
    }

    private static void CheckBox(string place, SpeakerBox box)
    {
        Require(box != null, place, "is null, expected a box");
        CheckName(place, box.Speaker);
        CheckSize(place, "left", box.Left);
        CheckSize(place, "top", box.Top);
        CheckSize(place, "width", box.Width);
        CheckSize(place, "height", box.Height);
        Require(box.Width > 0, place, $"width is {Show(box.Width)}, expected > 0");
        Require(box.Height > 0, place, $"height is {Show(box.Height)}, expected > 0");
    }

    private static void CheckLines(IReadOnlyList<SceneLine> lines)
    {
        Require(lines != null, "lines", "is null, expected a list");
        Require(lines.Count <= MaxLines, "lines", $"{lines.Count} lines, expected at most {MaxLines}");
        for (int l = 0; l < lines.Count; l++)
        {
            string place = $"lines[{l}]";
            SceneLine line = lines[l];
            Require(line != null, place, "is null, expected a line");
            CheckName(place, line.Speaker);
            CheckSize(place, "start", line.Start);
            CheckSize(place, "end", line.End);
            Require(line.Start >= 0, place, $"start is {Show(line.Start)}, expected >= 0");
            Require(line.End >= line.Start, place, $"end is {Show(line.End)}, expected not before start ({Show(line.Start)})");
            CheckText(place, "text", line.Text, MaxLineLength, allowLineBreaks: false);
        }
    }

    // The name is the prefix of a transcript line: it must not run into the line before it.
    private static void CheckName(string place, string name)
    {
        CheckText(place, "speaker", name, MaxNameLength, allowLineBreaks: false);
        Require(name.Trim().Length == name.Length, place, $"speaker is '{name}', expected no space at the ends");
    }

    private static void CheckText(string place, string field, string text, int limit, bool allowLineBreaks)
    {
        Require(!string.IsNullOrWhiteSpace(text), place, $"{field} is empty");
        Require(text.Length <= limit, place, $"{field} has {text.Length} characters, expected at most {limit}");
        for (int i = 0; i < text.Length; i++)
        {
            bool lineBreak = text[i] is '\n' or '\r' or '\u2028' or '\u2029';
            Require(allowLineBreaks || !lineBreak, place, $"{field} has a line break at character {i}");
            Require(lineBreak || text[i] == '\t' || !char.IsControl(text[i]), place, $"{field} has control character U+{(int)text[i]:X4} at character {i}");
            if (char.IsSurrogate(text[i]))
            {
                Require(char.IsSurrogatePair(text, i), place, $"{field} has half of a surrogate pair at character {i}");
                i++;
            }
        }
    }

    private static void CheckSize(string place, string field, double value) =>
        Require(Math.Abs(value) <= MaxMagnitude, place, $"{field} is {Show(value)}, expected a finite number up to 1e9");

    private static string Show(double value) => value.ToString(CultureInfo.InvariantCulture);

    private static void Require([System.Diagnostics.CodeAnalysis.DoesNotReturnIf(false)] bool condition, string place, string fault)
    {
        if (!condition)
        {
            throw new SceneException($"{place}: {fault}");
        }
    }
}
