using System.CommandLine;
using System.Globalization;
using AttentionKernels.Cli.Conformance;
using AttentionKernels.Cli.Report;
using AttentionKernels.Cli.Run;
using Spectre.Console;

namespace AttentionKernels.Cli.Commands;

/// <summary>attnk conformance</summary>
internal static class ConformanceCommand
{
    public static Command Create(TextWriter output, TextWriter error)
    {
        Argument<string> folder = new("folder") { Description = "Where the cases are: every folder below with a model.onnx and folders test_data_set_N is one." };
        Option<bool> use = new("--override") { Description = "Run attention nodes on the kernels of this library. This is the default." };
        Option<bool> leave = new("--no-override") { Description = "Run the models as ONNX Runtime would by itself, to compare." };
        Option<string?> filter = new("--filter") { Description = "Only cases with this text in their name.", HelpName = "TEXT" };
        Option<double?> rtol = Tolerance("--rtol", "Relative tolerance. Default: 1e-3, ONNX's own, and 1.6e-2 for bfloat16: two units in the last place.");
        Option<double?> atol = Tolerance("--atol", "Absolute tolerance. Default: 1e-7, ONNX's own.");
        Option<int> threads = CountOption.Create("--threads", "ONNX Runtime's threads; 0: one per core.", 0, least: 0);
        ToolCommand command = new(
            "conformance",
            "Runs test cases in the format of ONNX's backend tests (model.onnx, test_data_set_N/input_N.pb, output_N.pb) and compares the outputs. "
            + "Fails if a case fails, or if there is none. A case that it cannot run, such as one with sequences, is skipped.",
            "attnk conformance onnx/backend/test/data/node --filter attention",
            "attnk conformance onnx/backend/test/data/node --filter attention --no-override",
            "attnk conformance my-cases --rtol 1e-4 --atol 1e-6 --verbose")
        { folder, use, leave, filter, rtol, atol, threads };
        command.Validators.Add(result =>
        {
            if (result.GetValue(use) && result.GetValue(leave))
            {
                result.AddError("--override and --no-override exclude each other.");
            }
        });
        command.SetAction((parsed, cancellation) =>
        {
            ConformanceSettings settings = new()
            {
                Override = !parsed.GetValue(leave),
                RelativeTolerance = parsed.GetValue(rtol),
                AbsoluteTolerance = parsed.GetValue(atol),
                Threads = parsed.GetValue(threads),
            };
            bool verbose = parsed.GetValue<bool>("--verbose");
            // On another thread, so that Ctrl-C is answered at once.
            return Task.Run(() => Run(parsed.GetRequiredValue(folder), parsed.GetValue(filter), settings, verbose, output, error, cancellation), cancellation);
        });
        return command;
    }

    private static int Run(
        string folder, string? filter, ConformanceSettings settings, bool verbose, TextWriter output, TextWriter error, CancellationToken cancellation)
    {
        ConformanceCase[] cases = ConformanceCase.Find(folder, filter);
        if (cases.Length == 0)
        {
            throw new RunException($"'{folder}' has no test case{(filter == null ? "" : $" with '{filter}' in its name")}: no folder with model.onnx and test_data_set_0.");
        }
        // A line as soon as a case is done is all the progress that is needed.
        IAnsiConsole console = Consoles.For(output);
        int width = cases.Max(test => test.Name.Length);
        List<CaseResult> results = [];
        foreach (ConformanceCase test in cases)
        {
            cancellation.ThrowIfCancellationRequested();
            CaseResult result = ConformanceRunner.Run(test, settings, cancellation);
            results.Add(result);
            Write(console, output, result, width, settings.Override, verbose);
            if (verbose && result.Exception != null)
            {
                error.WriteLine(result.Exception);
            }
        }
        int failed = Count(CaseVerdict.Failed), ours = results.Count(result => result.Nodes > 0);
        output.WriteLine(settings.Override
            ? $"{ours} of {results.Count} cases ran nodes on kernels of this library, {results.Sum(result => result.Nodes)} nodes in all."
            : "No node ran on a kernel of this library: --no-override.");
        output.WriteLine($"conformance: {Count(CaseVerdict.Passed)} passed, {failed} failed, {Count(CaseVerdict.Skipped)} skipped");
        return failed == 0 ? ExitCode.Success : ExitCode.Failure;

        int Count(CaseVerdict verdict) => results.Count(result => result.Verdict == verdict);
    }

    private static void Write(IAnsiConsole console, TextWriter output, CaseResult result, int width, bool overridden, bool verbose)
    {
        (string word, string colour) = result.Verdict switch { CaseVerdict.Passed => ("pass", "green"), CaseVerdict.Failed => ("FAIL", "red"), _ => ("skip", "grey") };
        string nodes = !overridden || result.Verdict == CaseVerdict.Skipped ? "" : result.Nodes == 0 ? "  (no node of ours)" : $"  (nodes of ours: {result.Nodes})";
        string time = verbose ? string.Create(CultureInfo.InvariantCulture, $"  {result.Elapsed.TotalMilliseconds:0} ms") : "";
        // The word alone has a colour: a console would wrap the line.
        console.Markup($"[{colour}]{word}[/]");
        output.WriteLine($"  {result.Case.Name.PadRight(width)}  {result.Text}{nodes}{time}");
    }

    private static Option<double?> Tolerance(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "NUMBER",
        CustomParser = result =>
        {
            string text = result.Tokens[0].Value;
            if (!double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) || !(value >= 0 && double.IsFinite(value)))
            {
                result.AddError($"{name} is '{text}', expected a number from 0 on.");
            }
            return value;
        },
    };
}
