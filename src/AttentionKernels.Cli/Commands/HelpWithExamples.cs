using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace AttentionKernels.Cli.Commands;

/// <summary>The usual help, and after a command's options its examples.</summary>
internal sealed class HelpWithExamples : SynchronousCommandLineAction
{
    // Characters of a line; a narrower terminal has its own width.
    private const int Width = 120;

    private readonly HelpAction _help;

    public HelpWithExamples(HelpAction help)
    {
        _help = help;
        _help.MaxWidth = Math.Min(_help.MaxWidth, Width);
    }

    /// <inheritdoc/>
    public override bool ClearsParseErrors => true;

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        int code = _help.Invoke(parseResult);
        if (parseResult.CommandResult.Command is ToolCommand { Examples.Count: > 0 } command)
        {
            TextWriter output = parseResult.InvocationConfiguration.Output;
            output.WriteLine("Examples:");
            foreach (string example in command.Examples)
            {
                output.WriteLine($"  {example}");
            }
            output.WriteLine();
        }
        return code;
    }
}
