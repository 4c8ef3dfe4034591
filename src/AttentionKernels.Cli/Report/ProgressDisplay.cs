using Spectre.Console;

namespace AttentionKernels.Cli.Report;

/// <summary>Shows what a long job is doing: a spinner for a person, a line for each step otherwise. Steps go to the error stream, so that a redirected report holds nothing else.</summary>
internal static class ProgressDisplay
{
    /// <summary>Runs a job that reports its steps.</summary>
    public static T Run<T>(TextWriter error, Func<IProgress<string>, T> job) =>
        Consoles.IsInteractive(error)
            ? Consoles.For(error).Status().Start("starting", context => job(new Steps(step => context.Status(Markup.Escape(step)))))
            : job(new Steps(step => error.WriteLine($"attnk: {step}")));

    // Not System.Progress, which would report on another thread, later and in any order.
    private sealed class Steps(Action<string> show) : IProgress<string>
    {
        public void Report(string value) => show(value);
    }
}
