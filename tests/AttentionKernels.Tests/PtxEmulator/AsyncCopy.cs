namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>A cp.async in flight.</summary>
internal struct AsyncCopy
{
    public required PtxInstruction Instruction { get; init; }

    public required int Lane { get; init; }

    /// <summary>Number of the group of its thread.</summary>
    public required int Group { get; init; }

    /// <summary>Shared address.</summary>
    public required int Target { get; init; }

    /// <summary>Bytes written.</summary>
    public required int Bytes { get; init; }

    /// <summary>Bytes read; the rest is zero.</summary>
    public required int Wanted { get; init; }

    public required ulong Source { get; init; }

    /// <summary>What the source held when the copy began.</summary>
    public UInt128 Data;
}
