using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using AttentionKernels.Cli.Commands;

namespace AttentionKernels.Cli;

/// <summary>The command line: parsing, and what becomes of errors.</summary>
internal static class Tool
{
    private const string DebugVariable = "ATTNK_DEBUG";

    /// <summary>Runs one command line.</summary>
    /// <param name="arguments">What stands after the tool's name.</param>
    /// <param name="output">Standard output.</param>
    /// <param name="error">Standard error.</param>
    /// <param name="cancellation">Ends the command as Ctrl-C does.</param>
    /// <returns>A value of <see cref="ExitCode"/>.</returns>
    public static async Task<int> InvokeAsync(string[] arguments, TextWriter output, TextWriter error, CancellationToken cancellation = default)
    {
        Option<bool> verbose = new("--verbose") { Description = $"Print the whole exception when something fails (as {DebugVariable}=1 does).", Recursive = true };
        RootCommand root = new(
            "Measures and steers the attention heads of multimodal decoders in ONNX Runtime, in one fused pass.\n\n"
            + "Start with:\n"
            + "  attnk demo       the whole thing on a shipped scene and a generated model\n"
            + "  attnk doctor     what this machine has, and what to do about what it lacks")
        {
            DemoCommand.Create(output, error),
            RunCommand.Create(output, error),
            SceneCommand.Create(output),
            ImportTvqaCommand.Create(output),
            ModelCommand.Create(output, error),
            ConformanceCommand.Create(output, error),
            DoctorCommand.Create(output),
        };
        root.Add(verbose);
        HelpOption help = root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpWithExamples((HelpAction)help.Action!);
        ParseResult parsed = root.Parse(arguments.Length == 0 ? ["--help"] : arguments);
        InvocationConfiguration configuration = new() { Output = output, Error = error, EnableDefaultExceptionHandler = false };
        if (parsed.Action is ParseErrorAction)
        {
            foreach (string message in parsed.Errors.Select(e => e.Message).Distinct())
            {
                error.WriteLine($"attnk: {message}");
            }
            error.WriteLine($"Try 'attnk {string.Join(' ', CommandPath(parsed))}--help'.");
            return ExitCode.Usage;
        }
        try
        {
            int code = await parsed.InvokeAsync(configuration, cancellation);
            return arguments.Length == 0 ? ExitCode.Usage : code;
        }
        catch (OperationCanceledException)
        {
            error.WriteLine("attnk: cancelled.");
            return ExitCode.Cancelled;
        }
        catch (Exception e)
        {
            error.WriteLine($"attnk: {FaultText.Describe(e)}");
            if (parsed.GetValue(verbose) || Environment.GetEnvironmentVariable(DebugVariable) is not (null or "" or "0"))
            {
                error.WriteLine(e);
            }
            return ExitCode.Failure;
        }
    }

    private static IEnumerable<string> CommandPath(ParseResult parsed) =>
        parsed.CommandResult.Command is RootCommand ? [] : [parsed.CommandResult.Command.Name, ""];
}
