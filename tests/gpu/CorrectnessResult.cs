namespace AttentionKernels.GpuCheck;

/// <summary>The laws on the device.</summary>
/// <param name="Status">In words.</param>
/// <param name="IsGood">Whether they ran to the end and all held.</param>
/// <param name="CaseFactor">How many times as many random cases as in a run on the emulator.</param>
/// <param name="Tests">What they gave; null: they did not get to their end.</param>
internal sealed record CorrectnessResult(string Status, bool IsGood, int CaseFactor, TestResults? Tests)
{
    // A device is some thousand times as fast as the emulator; the reference on the processor then takes the time.
    private const int FullFactor = 10;

    private static readonly TimeSpan Limit = TimeSpan.FromHours(2);

    /// <summary>Runs all laws.</summary>
    public static async Task<CorrectnessResult> RunAsync(CheckSettings settings, Action<string> progress, CancellationToken cancellation)
    {
        int factor = settings.Quick ? 1 : FullFactor;
        (TestResults? tests, ChildRun run) = await TestRun.RunAsync(
            settings, [], settings.Only == null ? [] : ["-method", $"*{settings.Only}*"], [("ATTNK_TEST_CASES", $"{factor}")], Limit, "correctness", progress, cancellation);
        string status = tests == null ? $"the tests did not get to their end: {LastWords(run)}"
            : tests.Passed + tests.Failed == 0 ? "no test ran"
            : $"{tests.Passed} passed, {tests.Failed} failed{(tests.NotRun > 0 ? $", {tests.NotRun} did not run" : "")}, {tests.Seconds:F0} s";
        return new CorrectnessResult(status, tests is { IsGood: true } && run.Code == 0, factor, tests);
    }

    /// <summary>Why a program ended without a result.</summary>
    public static string LastWords(ChildRun run) =>
        $"{(run.Code == null ? "stopped, it took too long" : $"exit code {run.Code}")}; {run.Lines.LastOrDefault(line => line.Length > 0 && line[0] != '{') ?? "it said nothing"}";
}
