namespace AttentionKernels.Tests.PtxEmulator;

internal enum PtxTokenKind
{
    /// <summary>A name: opcode, register, label, symbol.</summary>
    Word,

    /// <summary>A dot and a name: directive, type or modifier; the text has the name without the dot.</summary>
    Dot,
    Number,
    String,

    /// <summary>One character.</summary>
    Mark,
    End,
}
