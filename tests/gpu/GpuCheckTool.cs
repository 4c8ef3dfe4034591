using System.CommandLine;
using System.CommandLine.Invocation;
using AttentionKernels.Cuda;

namespace AttentionKernels.GpuCheck;

/// <summary>The command line: parsing, and what becomes of errors.</summary>
internal static class GpuCheckTool
{
    /// <summary>The tests' program beside this one.</summary>
    private static string TestProgram => Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "AttentionKernels.Tests.exe" : "AttentionKernels.Tests");

    /// <summary>Runs one command line.</summary>
    /// <param name="arguments">What stands after the program's name.</param>
    /// <param name="output">Standard output: the table.</param>
    /// <param name="error">Standard error: progress and errors.</param>
    /// <param name="tests">How the tests are started; null: by their program in this folder.</param>
    /// <param name="cancellation">Ends the command as Ctrl-C does.</param>
    /// <returns>A value of <see cref="ExitCode"/>.</returns>
    public static async Task<int> InvokeAsync(string[] arguments, TextWriter output, TextWriter error, string[]? tests = null, CancellationToken cancellation = default)
    {
        Option<string> json = new("--json") { Description = "Where every result goes.", HelpName = "FILE", DefaultValueFactory = _ => "gpu-check.json" };
        Option<bool> quick = new("--quick") { Description = "Fewer random cases, of compute-sanitizer memcheck alone, and a few cases of the benchmark." };
        Option<int> device = new("--device") { Description = "Number of the CUDA device among the visible ones.", HelpName = "N" };
        Option<bool> noSanitizer = new("--no-sanitizer") { Description = "Leave compute-sanitizer out." };
        Option<bool> noBench = new("--no-bench") { Description = "Leave the benchmark out." };
        Option<string?> python = new("--python") { Description = "A Python with torch, for the benchmark's rivals; else the first one in PATH.", HelpName = "PATH" };
        Option<ulong?> seed = new("--seed") { Description = "Random cases other than the fixed ones.", HelpName = "N" };
        Option<string?> only = new("--only") { Description = "Only tests whose name contains this.", HelpName = "NAME" };
        Option<string?> cases = new("--cases") { Description = "Only cases of the benchmark whose name contains this, as \"S=8192 full\", or one of several: \"decode,append\".", HelpName = "TEXT" };
        device.Validators.Add(result =>
        {
            if (result.GetValue(device) < 0)
            {
                result.AddError($"--device is {result.GetValue(device)}, expected 0 or more");
            }
        });
        RootCommand root = new(
            "Checks AttentionKernels' CUDA kernels on this machine's device: every law of the tests against the float64 reference, a selection of them under compute-sanitizer if it is there, then the benchmark. "
            + "Writes one JSON and prints a table.\n\n"
            + "Exit code: 0 everything that could run passed, 1 something failed, 2 wrong command line, 3 no CUDA driver or no device of compute capability 8.0, 130 cancelled.")
        {
            json, quick, device, noSanitizer, noBench, python, seed, only, cases,
        };
        ParseResult parsed = root.Parse(arguments);
        if (parsed.Action is ParseErrorAction)
        {
            foreach (string message in parsed.Errors.Select(e => e.Message).Distinct())
            {
                error.WriteLine($"gpu-check: {message}");
            }
            error.WriteLine("Try 'gpu-check --help'.");
            return ExitCode.Usage;
        }
        root.SetAction((values, token) =>
        {
            CheckSettings settings = new(
                values.GetValue(json)!, values.GetValue(quick), values.GetValue(device), !values.GetValue(noSanitizer), !values.GetValue(noBench), values.GetValue(python), values.GetValue(seed),
                values.GetValue(only), values.GetValue(cases), tests ?? [TestProgram]);
            return CheckRun.RunAsync(settings, output, line => error.WriteLine($"gpu-check: {line}"), token);
        });
        try
        {
            return await parsed.InvokeAsync(new InvocationConfiguration { Output = output, Error = error, EnableDefaultExceptionHandler = false }, cancellation);
        }
        catch (OperationCanceledException)
        {
            error.WriteLine("gpu-check: cancelled.");
            return ExitCode.Cancelled;
        }
        catch (CudaException e)
        {
            error.WriteLine($"gpu-check: {e.Message}");
            return ExitCode.NoDevice;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or System.ComponentModel.Win32Exception)
        {
            error.WriteLine($"gpu-check: {e.Message}");
            return ExitCode.Failure;
        }
    }
}
