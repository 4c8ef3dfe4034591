using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using AttentionKernels.Bench.Compare;
using AttentionKernels.Bench.Report;

namespace AttentionKernels.Bench.Commands;

/// <summary>bench compare</summary>
internal static class CompareCommand
{
    public static Command Create(TextWriter output, TextWriter error)
    {
        Option<bool> quick = new("--quick") { Description = "A few cases within a minute, instead of all in about half an hour." };
        Option<bool> @override = new("--override") { Description = "Ours is the built-in's own node, overridden and steered by a scope, instead of SteeredAttention." };
        Option<string?> json = new("--json") { Description = "Also write every number and sample to this file.", HelpName = "FILE" };
        Option<int[]> threads = new("--threads")
        {
            Description = "Intra-op threads, as 1 or 1,2.",
            HelpName = "N,...",
            DefaultValueFactory = _ => [1, 2],
            CustomParser = ParseThreads,
        };
        Option<string?> filter = new("--filter") { Description = "Only cases whose name contains this, as \"S=1024 causal\", or one of several: \"S=512,decode\".", HelpName = "TEXT" };
        Command command = new(
            "compare",
            "Times our operators and ONNX Runtime's built-in ones in turns, in one process, on the same float32 tensors. For every case the fastest built-in operator with the same "
            + "result is the rival. Fails if the sides disagree or another kernel ran than the one that is named. The last line is 'summary: ...'.")
        {
            quick,
            @override,
            json,
            threads,
            filter,
        };
        command.SetAction((parsed, cancellation) => Task.Run(
            () =>
            {
                CompareRequest request = new(parsed.GetValue(quick), parsed.GetValue(@override), parsed.GetValue(threads)!, parsed.GetValue(filter));
                CompareReport report = CompareRunner.Run(request, step => error.WriteLine($"bench: {step}"), cancellation);
                if (parsed.GetValue(json) is string path)
                {
                    ReportJson.Write(report, path);
                }
                CompareText.Write(output, report);
                return 0;
            },
            cancellation));
        return command;
    }

    private static int[]? ParseThreads(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        List<int> threads = [];
        foreach (string part in text.Split(','))
        {
            if (!int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out int count) || count < 1)
            {
                result.AddError($"--threads is '{text}', expected numbers from 1 on, as 1,2.");
                return null;
            }
            threads.Add(count);
        }
        return [.. threads.Distinct()];
    }
}
