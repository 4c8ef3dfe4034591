using AttentionKernels.Cli;

namespace AttentionKernels.Tests.Cli;

/// <summary>A finished command line, run in this process.</summary>
internal sealed record ToolRun(int Code, string Output, string Error)
{
    /// <summary>The output on one line, so that it does not matter where it was wrapped.</summary>
    public string Words => string.Join(' ', Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    /// <summary>Runs the tool.</summary>
    public static ToolRun Of(params string[] arguments) => Of(CancellationToken.None, arguments);

    /// <summary>Runs the tool until it is cancelled.</summary>
    public static ToolRun Of(CancellationToken cancellation, params string[] arguments)
    {
        StringWriter output = new(), error = new();
        int code = Tool.InvokeAsync(arguments, output, error, cancellation).GetAwaiter().GetResult();
        return new ToolRun(code, output.ToString(), error.ToString());
    }
}
