using System.Globalization;
using System.Text.RegularExpressions;

namespace AttentionKernels.GpuCheck;

/// <summary>A selection of the laws under one tool of compute-sanitizer.</summary>
/// <param name="Tool">memcheck, racecheck, initcheck or synccheck.</param>
/// <param name="Status">In words.</param>
/// <param name="IsGood">Whether the tests passed and the tool found nothing.</param>
/// <param name="Errors">What it found; null: it did not say.</param>
/// <param name="Findings">Its first lines about them.</param>
internal sealed partial record SanitizerResult(string Tool, string Status, bool IsGood, int? Errors, string[] Findings)
{
    private const int MostFindings = 20;

    /// <summary>
    /// Every kernel and every configuration of it, on small shapes: a tool makes a kernel 10 to 100 times as slow. Random cases are left out.
    /// </summary>
    private static readonly string[] Selection =
    [
        "Every_Configuration_Takes_Several_Blocks_And_Tiles", "Every_Configuration_Takes_Long_Chunks", "More_Rows_Than_A_Tile_Take_Several_Blocks", "Heads_May_Have_Any_Size", "Lengths_May_Be_Odd",
        "AppendKeyValueKernelTests.", "MaskBiasKernelTests.", "SpeakerScoresKernelTests.", "PrefillClassesKernelTests.", "Appended_Rows_Are_Attended_As_If_They_Had_Been_There", "A_Captured_Decode_Step_Follows_Lengths_That_Grow",
    ];

    private static readonly string[] AllTools = ["memcheck", "racecheck", "initcheck", "synccheck"];

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(15);

    /// <summary>Runs the tools.</summary>
    /// <param name="settings">What is asked for.</param>
    /// <param name="sanitizer">The program: <see cref="Find"/>.</param>
    /// <param name="progress">Told from time to time.</param>
    /// <param name="cancellation">Stops it.</param>
    public static async Task<SanitizerResult[]> RunAsync(CheckSettings settings, string sanitizer, Action<string> progress, CancellationToken cancellation)
    {
        List<SanitizerResult> results = [];
        foreach (string tool in settings.Quick ? AllTools.AsSpan(0, 1).ToArray() : AllTools)
        {
            progress($"compute-sanitizer {tool}: starts");
            // To initcheck, memory that was filled with NaN is memory with values.
            (string, string)[] environment = tool == "initcheck" ? [("ATTNK_TEST_UNFILLED", "1")] : [];
            try
            {
                (TestResults? tests, ChildRun run) = await TestRun.RunAsync(
                    settings, [sanitizer, "--tool", tool, "--target-processes", "all"], Filters(settings), environment, Limit, $"compute-sanitizer {tool}", progress, cancellation);
                results.Add(Judge(tool, tests, run));
            }
            catch (Exception e) when (e is IOException or System.ComponentModel.Win32Exception)
            {
                results.Add(new SanitizerResult(tool, e.Message, false, null, []));
            }
        }
        return [.. results];
    }

    /// <summary>Which laws a tool runs, one after another.</summary>
    public static string[] Filters(CheckSettings settings) =>
        [.. (settings.Only == null ? Selection : [settings.Only]).SelectMany(name => new[] { "-method", $"*{name}*" }), "-parallelMode", "none"];

    /// <summary>compute-sanitizer in PATH or where CUDA is installed; null: there is none.</summary>
    public static string? Find() => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Append("/usr/local/cuda/bin")
        .Where(folder => folder.Length > 0).Select(folder => Path.Combine(folder, "compute-sanitizer")).FirstOrDefault(File.Exists);

    /// <summary>What a run of a tool means.</summary>
    public static SanitizerResult Judge(string tool, TestResults? tests, ChildRun run)
    {
        int? errors = null;
        foreach (string line in run.Lines)
        {
            // One line for each process: "========= ERROR SUMMARY: 0 errors", of racecheck "========= RACECHECK SUMMARY: 2 hazards displayed (1 error, 1 warning)".
            Match match = Summary().Match(line);
            if (match.Success)
            {
                errors = (errors ?? 0) + int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture);
            }
        }
        string[] findings = [.. run.Lines.Where(line => line.StartsWith("=========", StringComparison.Ordinal) && !Summary().IsMatch(line)).Take(MostFindings)];
        string status = errors == null ? $"did not get to its end: {CorrectnessResult.LastWords(run)}"
            : tests == null ? $"{errors} errors; the tests did not get to their end: {CorrectnessResult.LastWords(run)}"
            : $"{errors} errors in {tests.Passed + tests.Failed} tests{(tests.IsGood ? "" : $", of which {tests.Failed} failed")}";
        return new SanitizerResult(tool, status, errors == 0 && tests is { IsGood: true }, errors, errors == 0 ? [] : findings);
    }

    [GeneratedRegex(@"^=+ (?:ERROR|RACECHECK) SUMMARY: (\d+) (?:error|hazard)")]
    private static partial Regex Summary();
}
