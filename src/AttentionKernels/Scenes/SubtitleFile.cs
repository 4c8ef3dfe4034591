using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace AttentionKernels.Scenes;

/// <summary>
/// Reads SubRip (.srt) subtitles that name their speakers, as those of TVQA do: <c>(Sheldon:)That's my spot.</c> or <c>Sheldon: That's my spot.</c>
/// A text line with a name starts a new utterance; one without continues the utterance before it in the same cue.
/// </summary>
internal static partial class SubtitleFile
{
    private const long MaxFileBytes = 16L << 20;

    /// <summary>Reads the file.</summary>
    /// <param name="path">The .srt file, UTF-8.</param>
    /// <param name="unnamed">Number of text lines without a speaker, which are left out.</param>
    /// <exception cref="SceneException">The file cannot be read, or a cue has no time line.</exception>
    public static List<SceneLine> Load(string path, out int unnamed)
    {
        string text = Encoding.UTF8.GetString(SceneFiles.SkipByteOrderMark(SceneFiles.ReadAllBytes(path, MaxFileBytes)));
        try
        {
            return Parse(text, out unnamed);
        }
        catch (SceneException e)
        {
            throw new SceneException($"{path}: {e.Message}", e);
        }
    }

    internal static List<SceneLine> Parse(string text, out int unnamed)
    {
        unnamed = 0;
        List<SceneLine> lines = [];
        string[] rows = text.ReplaceLineEndings("\n").Split('\n');
        int row = 0;
        while (row < rows.Length)
        {
            if (string.IsNullOrWhiteSpace(rows[row]))
            {
                row++;
                continue;
            }
            // The cue's number is optional; nobody reads it.
            if (!TimeLine().IsMatch(rows[row]))
            {
                row++;
            }
            Match time = row < rows.Length ? TimeLine().Match(rows[row]) : Match.Empty;
            if (!time.Success)
            {
                throw new SceneException($"line {Math.Min(row, rows.Length - 1) + 1}: expected a time such as '00:00:01,000 --> 00:00:02,500'");
            }
            double start = Seconds(time, 1);
            double end = Math.Max(start, Seconds(time, 5));
            int cueStart = lines.Count;
            for (row++; row < rows.Length && !string.IsNullOrWhiteSpace(rows[row]); row++)
            {
                string spoken = Clean(rows[row]);
                Match name = Speaker().Match(spoken);
                if (name.Success)
                {
                    lines.Add(new SceneLine(name.Groups["name"].Value.Trim(), start, end, name.Groups["text"].Value.Trim()));
                }
                else if (lines.Count > cueStart)
                {
                    lines[^1] = lines[^1] with { Text = $"{lines[^1].Text} {spoken}".Trim() };
                }
                else
                {
                    unnamed++;
                }
            }
        }
        // A name with nothing behind it, or longer than any name, is no utterance.
        unnamed += lines.RemoveAll(line => line.Text.Length == 0 || line.Speaker.Length == 0);
        return lines;
    }

    private static double Seconds(Match time, int group) =>
        (Number(time, group) * 3600.0) + (Number(time, group + 1) * 60.0) + Number(time, group + 2) + (Number(time, group + 3) / 1000.0);

    private static int Number(Match time, int group) => int.Parse(time.Groups[group].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);

    // Formatting tags and control characters are no words.
    private static string Clean(string row)
    {
        string text = Tag().Replace(row, "");
        return string.Concat(text.EnumerateRunes().Select(rune => Rune.IsControl(rune) || rune.Value is 0x2028 or 0x2029 ? " " : rune.ToString())).Trim();
    }

    [GeneratedRegex(@"^\s*(\d{1,3}):(\d{1,2}):(\d{1,2})[,.](\d{3})\s*-->\s*(\d{1,3}):(\d{1,2}):(\d{1,2})[,.](\d{3})", RegexOptions.CultureInvariant)]
    private static partial Regex TimeLine();

    // "(Sheldon:)text", or a bare "Sheldon:" of one to three capitalised words, so that "Note this: ..." stays text.
    [GeneratedRegex(@"^(?:-\s*)?(?:\((?<name>[^():]{1,40}):\)|(?<name>\p{Lu}[\p{L}'.]{0,20}(?: \p{Lu}[\p{L}'.]{0,20}){0,2}):)(?<text>.*)$", RegexOptions.CultureInvariant)]
    private static partial Regex Speaker();

    [GeneratedRegex(@"</?[a-zA-Z][^<>]{0,40}>", RegexOptions.CultureInvariant)]
    private static partial Regex Tag();
}
