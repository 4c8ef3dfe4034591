namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>An instruction as written: guard, opcode, modifiers, operands.</summary>
internal sealed class PtxStatement(string opcode, List<string> modifiers, List<PtxOperand> operands, PtxOperand? guard, int line, string text)
{
    public string Opcode { get; } = opcode;

    /// <summary>Modifiers that no one has taken yet, in order.</summary>
    public List<string> Modifiers { get; } = modifiers;

    public List<PtxOperand> Operands { get; } = operands;

    public PtxOperand? Guard { get; } = guard;

    public int Line { get; } = line;

    public string Text { get; } = text;

    /// <summary>Whether the modifier is there; it is taken.</summary>
    public bool Take(string modifier) => Modifiers.Remove(modifier);

    /// <summary>The first of the modifiers that is there, taken; null without one.</summary>
    public string? TakeAny(params ReadOnlySpan<string> modifiers)
    {
        foreach (string modifier in modifiers)
        {
            if (Take(modifier))
            {
                return modifier;
            }
        }
        return null;
    }

    /// <summary>The last modifier as a type.</summary>
    public PtxType TakeType()
    {
        if (Modifiers.Count == 0 || !PtxType.TryParse(Modifiers[^1], out PtxType type))
        {
            throw Error("a type is missing");
        }
        Modifiers.RemoveAt(Modifiers.Count - 1);
        return type;
    }

    public PtxOperand Operand(int index) =>
        index < Operands.Count ? Operands[index] : throw Error($"operand {index + 1} is missing");

    public PtxException Error(string problem) => new(problem, Line, Text);
}
