using AttentionKernels.Cli.Report;
using AttentionKernels.Cli.Run;

namespace AttentionKernels.Cli.Commands;

/// <summary>What demo and run do once the request is made: run with progress, print, write JSON, judge.</summary>
internal static class RunAction
{
    /// <summary>Does it on another thread, so that Ctrl-C is answered at once.</summary>
    /// <param name="request">Makes the request; it may take a while.</param>
    /// <param name="json">File of the report, or null.</param>
    /// <param name="output">Standard output.</param>
    /// <param name="error">Standard error.</param>
    /// <param name="cancellation">Ctrl-C.</param>
    public static Task<int> InvokeAsync(
        Func<IProgress<string>, RunRequest> request, string? json, TextWriter output, TextWriter error, CancellationToken cancellation) =>
        Task.Run(
            () =>
            {
                RunReport report = ProgressDisplay.Run(error, progress => SceneRunner.Run(request(progress), progress, cancellation));
                Consoles.Write(output, console => RunReportText.Write(console, report));
                if (json != null)
                {
                    ReportJson.Write(report, json);
                    output.WriteLine($"Every number is in {json}.");
                }
                return report.Check.Passed
                    ? ExitCode.Success
                    : throw new RunException("the rewritten model does not compute what the built-in one does: the difference of the logits is more than rounding.");
            },
            cancellation);
}
