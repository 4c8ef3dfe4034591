using System.Diagnostics;

namespace AttentionKernels.GpuCheck;

/// <summary>A program that is run to its end, with everything that it starts.</summary>
/// <param name="Code">Exit code; null: it was stopped because it took too long.</param>
/// <param name="Lines">What it wrote, standard output and error, in the order in which it came.</param>
internal sealed record ChildRun(int? Code, string[] Lines)
{
    /// <summary>Runs a program.</summary>
    /// <param name="command">Program and arguments.</param>
    /// <param name="environment">Variables added to this process's; null: taken away.</param>
    /// <param name="limit">How long it may take.</param>
    /// <param name="line">Told of each line, one at a time.</param>
    /// <param name="cancellation">Stops it, and everything that it started.</param>
    /// <exception cref="System.ComponentModel.Win32Exception">It cannot be started.</exception>
    public static async Task<ChildRun> RunAsync(
        string[] command, IReadOnlyDictionary<string, string?> environment, TimeSpan limit, Action<string> line, CancellationToken cancellation)
    {
        ProcessStartInfo start = new(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach ((string name, string? value) in environment)
        {
            start.Environment[name] = value;
        }
        using Process process = new() { StartInfo = start };
        List<string> lines = [];
        process.OutputDataReceived += Keep;
        process.ErrorDataReceived += Keep;
        cancellation.ThrowIfCancellationRequested();
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        end.CancelAfter(limit);
        try
        {
            await process.WaitForExitAsync(end.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None);
            cancellation.ThrowIfCancellationRequested();
            return new ChildRun(null, Taken());
        }
        return new ChildRun(process.ExitCode, Taken());

        void Keep(object sender, DataReceivedEventArgs e)
        {
            if (e.Data != null)
            {
                lock (lines)
                {
                    lines.Add(e.Data);
                    line(e.Data);
                }
            }
        }

        string[] Taken()
        {
            lock (lines)
            {
                return [.. lines];
            }
        }
    }
}
