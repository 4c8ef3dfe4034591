namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>An operand of a statement, names resolved as far as the declarations before it allow.</summary>
internal sealed class PtxOperand
{
    public required PtxOperandKind Kind { get; init; }

    /// <summary>Name of a word; the source text of anything else.</summary>
    public string Name { get; init; } = "";

    public PtxRegister? Register { get; init; }

    /// <summary>Integer, bits of a float, or offset of an address.</summary>
    public ulong Value { get; init; }

    /// <summary>Elements of a vector; the base of an address; both halves of a pair d|p.</summary>
    public PtxOperand[] Items { get; init; } = [];

    /// <summary>A predicate with an exclamation mark.</summary>
    public bool Negated { get; init; }
}
