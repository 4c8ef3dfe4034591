using Spectre.Console;

namespace AttentionKernels.Cli.Report;

/// <summary>Spectre consoles over text writers.</summary>
internal static class Consoles
{
    // Wide enough for every table; a terminal's own width counts where there is one.
    private const int PlainWidth = 120;

    /// <summary>Whether a person watches: neither stream is redirected and no build server runs this.</summary>
    public static bool IsInteractive(TextWriter writer) =>
        (ReferenceEquals(writer, Console.Out) || ReferenceEquals(writer, Console.Error))
        && !Console.IsOutputRedirected && !Console.IsErrorRedirected
        && Environment.GetEnvironmentVariable("CI") is null or "" or "false";

    /// <summary>Writes what a page draws: with colours for a person, otherwise as plain lines without the blanks that fill a table's last column.</summary>
    public static void Write(TextWriter writer, Action<IAnsiConsole> page)
    {
        if (IsInteractive(writer))
        {
            page(For(writer));
            return;
        }
        StringWriter text = new() { NewLine = "\n" };
        page(For(text));
        string[] lines = text.ToString().ReplaceLineEndings("\n").TrimEnd().Split('\n');
        foreach (string line in lines)
        {
            writer.WriteLine(line.TrimEnd());
        }
    }

    /// <summary>A console with colours for a person, plain text otherwise.</summary>
    public static IAnsiConsole For(TextWriter writer)
    {
        bool interactive = IsInteractive(writer);
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = interactive ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = interactive ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = interactive ? InteractionSupport.Detect : InteractionSupport.No,
        });
        if (!interactive)
        {
            console.Profile.Width = PlainWidth;
        }
        return console;
    }
}
