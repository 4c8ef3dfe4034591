using System.CommandLine;
using System.CommandLine.Invocation;
using AttentionKernels.Bench.Compare;
using AttentionKernels.Cuda;
using AttentionKernels.OnnxRuntime;

namespace AttentionKernels.Bench.Commands;

/// <summary>The command line: parsing, and what becomes of errors.</summary>
internal static class BenchTool
{
    private const int Failure = 1;
    private const int Usage = 2;
    private const int Cancelled = 130; // 128 + SIGINT, as shells have it

    /// <summary>Runs one command line.</summary>
    /// <param name="arguments">What stands after the program's name.</param>
    /// <param name="output">Standard output: results.</param>
    /// <param name="error">Standard error: progress and errors.</param>
    /// <param name="cancellation">Ends the command as Ctrl-C does.</param>
    /// <returns>0; 1 if something failed; 2 if the command line was not understood; 130 if cancelled.</returns>
    public static async Task<int> InvokeAsync(string[] arguments, TextWriter output, TextWriter error, CancellationToken cancellation = default)
    {
        RootCommand root = new(
            "Speed of AttentionKernels, side by side with ONNX Runtime's own kernels.\n\n"
            + "Examples:\n"
            + "  dotnet run -c Release --project bench -- compare --quick\n"
            + "  dotnet run -c Release --project bench -- compare --json bench/results/compare.json\n"
            + "  dotnet run -c Release --project bench -- compare --filter \"28:4x128 S=1024\" --threads 1\n"
            + "  dotnet run -c Release --project bench -- native\n"
            + "  dotnet run -c Release --project bench -- gpu --quick\n"
            + "  dotnet run -c Release --project bench -- suites --list flat")
        {
            CompareCommand.Create(output, error),
            NativeCommand.Create(output, error),
            GpuCommand.Create(output, error),
            SuitesCommand.Create(),
        };
        ParseResult parsed = root.Parse(arguments.Length == 0 ? ["--help"] : arguments);
        if (parsed.Action is ParseErrorAction)
        {
            foreach (string message in parsed.Errors.Select(e => e.Message).Distinct())
            {
                error.WriteLine($"bench: {message}");
            }
            error.WriteLine("Try 'compare --help', 'native --help', 'gpu --help' or 'suites --help'.");
            return Usage;
        }
        try
        {
            return await parsed.InvokeAsync(new InvocationConfiguration { Output = output, Error = error, EnableDefaultExceptionHandler = false }, cancellation);
        }
        catch (OperationCanceledException)
        {
            error.WriteLine("bench: cancelled.");
            return Cancelled;
        }
        catch (Exception e) when (e is BenchException or OrtException or CudaException or IOException or UnauthorizedAccessException or PlatformNotSupportedException)
        {
            error.WriteLine($"bench: {e.Message}");
            return Failure;
        }
    }
}
