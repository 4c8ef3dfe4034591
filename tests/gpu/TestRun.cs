using System.Globalization;

namespace AttentionKernels.GpuCheck;

/// <summary>Runs the tests' program on the device.</summary>
internal static class TestRun
{
    /// <summary>Classes whose laws may run on a device: all others are about the host, the emulator or the stub.</summary>
    private static readonly string[] OnDevice = ["-trait", "device=yes"];

    private static readonly TimeSpan SaySoEvery = TimeSpan.FromSeconds(15);

    /// <summary>Runs tests.</summary>
    /// <param name="settings">What is asked for.</param>
    /// <param name="before">What the program is run by, such as a sanitizer; empty: nothing.</param>
    /// <param name="filters">Which of the laws, as the program takes it; empty: all.</param>
    /// <param name="environment">More variables for it.</param>
    /// <param name="limit">How long it may take.</param>
    /// <param name="name">What is run, for progress.</param>
    /// <param name="progress">Told from time to time.</param>
    /// <param name="cancellation">Stops it.</param>
    /// <returns>What the tests gave, null if they did not get to their end; and what the program wrote.</returns>
    public static async Task<(TestResults? Results, ChildRun Run)> RunAsync(
        CheckSettings settings, string[] before, string[] filters, (string Name, string Value)[] environment, TimeSpan limit, string name, Action<string> progress,
        CancellationToken cancellation)
    {
        string results = Path.GetTempFileName();
        try
        {
            File.Delete(results);
            Dictionary<string, string?> variables = new()
            {
                ["ATTNK_TEST_DEVICE"] = settings.Device.ToString(CultureInfo.InvariantCulture),
                ["ATTNK_SEED"] = settings.Seed?.ToString(CultureInfo.InvariantCulture),
                ["ATTNK_CASE"] = null,
                ["ATTNK_TEST_CASES"] = "1",
            };
            foreach ((string variable, string value) in environment)
            {
                variables[variable] = value;
            }
            int done = 0;
            DateTime said = DateTime.UtcNow, start = said;
            ChildRun run = await ChildRun.RunAsync(
                [.. before, .. settings.Tests, "-noLogo", "-noColor", "-noAutoReporters", "-reporter", "json", .. OnDevice, .. filters, "-result-xml", results], variables, limit,
                line =>
                {
                    done += line.Contains("\"test-finished\"", StringComparison.Ordinal) ? 1 : 0;
                    if (DateTime.UtcNow - said > SaySoEvery)
                    {
                        said = DateTime.UtcNow;
                        progress($"{name}: {done} tests in {(said - start).TotalSeconds:F0} s");
                    }
                },
                cancellation);
            // Of a program that was ended the file may be half written.
            return (run.Code != null && File.Exists(results) ? TestResults.Read(results) : null, run);
        }
        finally
        {
            File.Delete(results);
        }
    }
}
