namespace AttentionKernels.Tests.PtxEmulator;

internal enum PtxOperandKind
{
    Register,
    Integer,

    /// <summary>Bits of a float32.</summary>
    Single,

    /// <summary>Bits of a float64.</summary>
    Double,

    /// <summary>A word that is no register: symbol, label or special register.</summary>
    Word,
    Vector,
    Address,

    /// <summary>d|p.</summary>
    Pair,

    /// <summary>The underscore: the result is not wanted.</summary>
    Sink,
}
