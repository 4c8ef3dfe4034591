using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace AttentionKernels.Scenes;

/// <summary>Makes scenes from annotation files of TVQA+ (github.com/jayleicn/TVQAplus): questions on television clips with boxes of people and things.</summary>
/// <remarks>
/// Named characters become speakers; boxes of anything else are left out. Boxes are clipped to the 640 x 360 picture. Frames are numbered from 1 at three per
/// second, so frame k is shown at (k - 1) / 3 seconds: annotated frames begin with number 1 where a question's time begins at 0, and elsewhere lie
/// within two seconds of the question's time.
/// <para>
/// The annotation files hold no dialogue. With subtitles, the lines spoken during the question's time are the transcript. Without, the question and the answers
/// stand in for it: each becomes a line of every character that it names, and the notes say so.
/// </para>
/// </remarks>
public static class TvqaPlusImporter
{
    // The largest file, the training set, has 40 MB.
    private const long MaxFileBytes = 256L << 20;
    private const double FramesPerSecond = 3;

    private static readonly VideoSize Video = new(640, 360);

    /// <summary>Labels that are people with a name: the recurring characters of the series.</summary>
    public static IReadOnlyList<string> Characters { get; } =
        ["Sheldon", "Leonard", "Penny", "Howard", "Raj", "Amy", "Bernadette", "Stuart", "Priya", "Wil", "Emily", "Barry", "Kripke"];

    /// <summary>Imports one question of an annotation file.</summary>
    /// <param name="path">The annotation file, JSON.</param>
    /// <param name="request">Which question, how many frames, which subtitles.</param>
    /// <exception cref="SceneException">
    /// A file cannot be read or is malformed, there is no such question, or no named character is in a sampled frame.
    /// </exception>
    public static TvqaPlusImport Load(string path, TvqaPlusRequest request)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(request);
        if (request.QuestionId == null && request.VideoName == null)
        {
            throw new ArgumentException("neither a question nor a video is named, expected at least one", nameof(request));
        }
        ArgumentOutOfRangeException.ThrowIfLessThan(request.FrameCount, 1, nameof(request));
        byte[] json = SceneFiles.ReadAllBytes(path, MaxFileBytes);
        try
        {
            return Import(json, request);
        }
        catch (SceneException e)
        {
            throw new SceneException($"{path}: {e.Message}", e);
        }
    }

    private static TvqaPlusImport Import(ReadOnlySpan<byte> json, TvqaPlusRequest request)
    {
        List<string> notes = [];
        TvqaPlusQuestion question = Find(ParseQuestions(json), request, notes);
        string place = $"question {question.QuestionId}";
        if (question.Times.Count != 2 || !(question.Times[0] <= question.Times[1]))
        {
            throw new SceneException($"{place}: ts is [{string.Join(", ", question.Times)}], expected a start and an end in seconds");
        }
        List<SceneFrame> annotated = ReadFrames(question, place, notes);
        List<SceneFrame> frames = Sample(annotated, request.FrameCount);
        if (frames.All(frame => frame.Boxes.Count == 0))
        {
            throw new SceneException($"{place}: no named character is in a sampled frame, expected boxes labelled {string.Join(", ", Characters)}");
        }
        if (frames.Count < request.FrameCount)
        {
            notes.Add($"The question has {frames.Count} annotated frames, fewer than the {request.FrameCount} asked for.");
        }
        List<SceneLine> lines = request.SubtitlePath == null ? StandIns(question, frames, notes) : Dialogue(question, request.SubtitlePath, notes);
        Scene scene = new(Video, frames, lines, Question: Ask(question));
        try
        {
            scene.Validate();
        }
        catch (SceneException e)
        {
            throw new SceneException($"{place}: {e.Message}", e);
        }
        return new TvqaPlusImport(scene, question.QuestionId, question.VideoName, notes);
    }

    private static List<TvqaPlusQuestion> ParseQuestions(ReadOnlySpan<byte> json)
    {
        try
        {
            return JsonSerializer.Deserialize(SceneFiles.SkipByteOrderMark(json), TvqaPlusJson.Default.ListTvqaPlusQuestion)
                ?? throw new SceneException("the document is null, expected a list of questions");
        }
        catch (JsonException e)
        {
            throw new SceneException(JsonFault.Describe(e), e);
        }
    }

    private static TvqaPlusQuestion Find(List<TvqaPlusQuestion> questions, TvqaPlusRequest request, List<string> notes)
    {
        int hole = questions.IndexOf(null!);
        if (hole >= 0)
        {
            throw new SceneException($"[{hole}]: is null, expected a question");
        }
        TvqaPlusQuestion[] found =
            [.. questions.Where(question => (request.QuestionId == null || question.QuestionId == request.QuestionId)
                && (request.VideoName == null || question.VideoName == request.VideoName))];
        if (found.Length == 0)
        {
            string wanted = request.QuestionId == null ? $"question about '{request.VideoName}'"
                : request.VideoName == null ? $"question {request.QuestionId}"
                : $"question {request.QuestionId} about '{request.VideoName}'";
            throw new SceneException($"no {wanted} among the {questions.Count} questions of the file");
        }
        if (found.Length > 1)
        {
            notes.Add($"{found.Length} questions match; this is the first, {found[0].QuestionId}.");
        }
        return found[0];
    }

    private static List<SceneFrame> ReadFrames(TvqaPlusQuestion question, string place, List<string> notes)
    {
        SortedDictionary<int, List<SpeakerBox>> frames = [];
        int outside = 0;
        foreach ((string key, IReadOnlyList<TvqaPlusBox> boxes) in question.Boxes)
        {
            if (!int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out int number) || number < 1)
            {
                throw new SceneException($"{place}: bbox has key '{key}', expected a frame number from 1 on");
            }
            if (boxes == null || boxes.Contains(null!))
            {
                throw new SceneException($"{place}: bbox['{key}'] holds null, expected a list of boxes");
            }
            List<SpeakerBox> named = [];
            foreach (TvqaPlusBox box in boxes)
            {
                if (Character(box.Label) is not string character)
                {
                    continue;
                }
                if (Clip(character, box) is SpeakerBox clipped)
                {
                    named.Add(clipped);
                }
                else
                {
                    outside++;
                }
            }
            frames[number] = named;
        }
        if (outside > 0)
        {
            notes.Add($"{outside} boxes without an area inside the picture were left out.");
        }
        return [.. frames.Select(frame => new SceneFrame((frame.Key - 1) / FramesPerSecond, frame.Value))];
    }

    // Annotators did not always capitalise names.
    private static string? Character(string label) =>
        Characters.FirstOrDefault(character => character.Equals(label.Trim(), StringComparison.OrdinalIgnoreCase));

    private static SpeakerBox? Clip(string character, TvqaPlusBox box)
    {
        double left = Math.Clamp(box.Left, 0, Video.Width);
        double top = Math.Clamp(box.Top, 0, Video.Height);
        double width = Math.Clamp(box.Left + box.Width, 0, Video.Width) - left;
        double height = Math.Clamp(box.Top + box.Height, 0, Video.Height) - top;
        return width > 0 && height > 0 ? new SpeakerBox(character, left, top, width, height) : null;
    }

    private static List<SceneFrame> Sample(List<SceneFrame> frames, int count)
    {
        if (frames.Count <= count)
        {
            return frames;
        }
        return count == 1
            ? [frames[frames.Count / 2]]
            : [.. Enumerable.Range(0, count).Select(i => frames[(int)Math.Round((double)i * (frames.Count - 1) / (count - 1))])];
    }

    private static List<SceneLine> StandIns(TvqaPlusQuestion question, List<SceneFrame> frames, List<string> notes)
    {
        HashSet<string> seen = [.. frames.SelectMany(frame => frame.Boxes).Select(box => box.Speaker)];
        List<SceneLine> lines = [];
        foreach (string sentence in question.Answers.Prepend(question.Question).Select(Tidy).Where(sentence => sentence.Length > 0))
        {
            foreach (string character in Characters.Where(character => seen.Contains(character) && Names(sentence, character)))
            {
                lines.Add(new SceneLine(character, Math.Max(0, question.Times[0]), Math.Max(0, question.Times[1]), sentence));
            }
        }
        notes.Add("The file has no dialogue: the lines are the question and the answers, given to each character that they name. Nobody speaks them.");
        if (lines.Count == 0)
        {
            notes.Add("Neither the question nor an answer names a character who is in a sampled frame, so there are no lines.");
        }
        return lines;
    }

    private static List<SceneLine> Dialogue(TvqaPlusQuestion question, string subtitlePath, List<string> notes)
    {
        List<SceneLine> all = SubtitleFile.Load(subtitlePath, out int unnamed);
        List<SceneLine> lines =
            [.. all.Where(line => line.End >= question.Times[0] && line.Start <= question.Times[1])
                .Select(line => line with { Speaker = Character(line.Speaker) ?? line.Speaker })];
        if (unnamed > 0)
        {
            notes.Add($"{unnamed} lines of the subtitles name no speaker and were left out.");
        }
        if (lines.Count == 0)
        {
            notes.Add(string.Create(
                CultureInfo.InvariantCulture, $"The subtitles have no named line between {question.Times[0]} s and {question.Times[1]} s, so there are no lines."));
        }
        return lines;
    }

    private static string Ask(TvqaPlusQuestion question) =>
        string.Join('\n', question.Answers.Select((answer, i) => $"{(char)('A' + i)}. {Tidy(answer)}").Prepend(Tidy(question.Question)));

    // "giving him a hug ?" -> "giving him a hug?"; a line break would end a transcript line.
    private static string Tidy(string sentence) =>
        Regex.Replace(Regex.Replace(sentence, @"[\s\p{Cc}\p{Zl}\p{Zp}]+", " "), @" ([?.!,])", "$1").Trim();

    private static bool Names(string sentence, string character) =>
        Regex.IsMatch(sentence, $@"\b{character}\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);
}
