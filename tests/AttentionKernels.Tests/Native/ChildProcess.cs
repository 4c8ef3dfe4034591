using System.Diagnostics;

namespace AttentionKernels.Tests.Native;

/// <summary>A program that has run to its end.</summary>
public sealed record ChildProcess(int Code, string Output, string Error)
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(10);

    /// <summary>Runs a program in this process's environment.</summary>
    public static ChildProcess Run(string program, params string[] arguments) => Run(program, arguments, _ => { });

    /// <summary>Runs a program with nothing in its environment but what is given: no PATH, no DOTNET_ variable.</summary>
    public static ChildProcess RunBare(string program, string[] arguments, params (string Name, string Value)[] environment) => Run(program, arguments, variables =>
    {
        variables.Clear();
        foreach ((string name, string value) in environment)
        {
            variables[name] = value;
        }
    });

    /// <summary>Runs a program, its environment changed by <paramref name="change"/>.</summary>
    public static ChildProcess Run(string program, string[] arguments, Action<IDictionary<string, string?>> change)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        change(start.Environment);
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(Limit))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{program} {string.Join(' ', arguments)} did not end within {Limit}");
        }
        return new ChildProcess(process.ExitCode, output.Result, error.Result);
    }

    /// <summary>The first of some programs that is in PATH; null: none is.</summary>
    public static string? Find(params ReadOnlySpan<string> programs)
    {
        foreach (string program in programs)
        {
            foreach (string folder in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator))
            {
                string path = Path.Combine(folder, program);
                if (File.Exists(path))
                {
                    return path;
                }
            }
        }
        return null;
    }

    /// <summary>Fails the test, with all that the program said, unless it ended with 0.</summary>
    public ChildProcess Succeeded()
    {
        Assert.True(Code == 0, $"exit code {Code}\n{Output}\n{Error}");
        return this;
    }
}
