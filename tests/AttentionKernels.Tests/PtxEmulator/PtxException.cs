namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>An error of the PTX text or of the program that it describes: the line, and in a launch the block and the thread.</summary>
internal sealed class PtxException : Exception
{
    public PtxException(string problem, int line, string text, PtxBlockIndex? block = null, int? thread = null)
        : base(Describe(problem, line, text, block, thread))
    {
        Problem = problem;
        Line = line;
        Text = text;
        Block = block;
        Thread = thread;
    }

    /// <summary>What is wrong, without the place.</summary>
    public string Problem { get; }

    /// <summary>Line in the PTX text, from 1; 0 for a problem of the launch that no line causes.</summary>
    public int Line { get; }

    /// <summary>The line, trimmed.</summary>
    public string Text { get; }

    public PtxBlockIndex? Block { get; }

    /// <summary>Index in the block; null where the whole warp or block is meant.</summary>
    public int? Thread { get; }

    private static string Describe(string problem, int line, string text, PtxBlockIndex? block, int? thread)
    {
        string place = line > 0 ? $"line {line}: {problem}  |  {text}" : problem;
        string who = block is PtxBlockIndex b ? $"  |  block {b}" : "";
        return thread is int t ? $"{place}{who}, thread {t} (warp {t / 32}, lane {t % 32})" : place + who;
    }
}
