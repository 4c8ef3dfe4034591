namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>A kernel: what a launch must bring, and the decoded program.</summary>
internal sealed class PtxEntry
{
    private PtxInstruction[]? _contracted;

    public required string Name { get; init; }

    public required int Line { get; init; }

    public required IReadOnlyList<PtxParameter> Parameters { get; init; }

    /// <summary>Bytes of the parameter buffer.</summary>
    public required int ParameterBytes { get; init; }

    /// <summary>Threads of a block of .maxntid; null without the directive.</summary>
    public required int? MaxThreads { get; init; }

    /// <summary>Bytes of shared memory that the text itself declares.</summary>
    public required int StaticSharedBytes { get; init; }

    /// <summary>Name of the .extern .shared array; null without dynamic shared memory.</summary>
    public required string? DynamicSharedSymbol { get; init; }

    /// <summary>Address of dynamic shared memory.</summary>
    public required int DynamicSharedOffset { get; init; }

    /// <summary>Bytes of .local memory of a thread.</summary>
    public required int LocalBytes { get; init; }

    internal required PtxInstruction[] Instructions { get; init; }

    /// <summary>The instructions with products and sums fused where a compiler may.</summary>
    internal PtxInstruction[] Contracted => LazyInitializer.EnsureInitialized(ref _contracted, () => Contraction.Of(Instructions));

    /// <summary>Bytes of a warp's register file.</summary>
    internal required int RegisterBytes { get; init; }

    internal required int RegisterCount { get; init; }

    /// <summary>Slots that hold the same bits in all lanes for ever.</summary>
    internal required IReadOnlyList<PtxConstant> Constants { get; init; }

    internal required IReadOnlyList<PtxSpecial> Specials { get; init; }

    /// <summary>Whether some instruction checks at run time that its registers have values.</summary>
    internal bool TracksRegisters { get; init; }

    /// <summary>Whether blocks must run one after the other: the order of atomic operations must not depend on the host.</summary>
    internal bool HasGlobalAtomics { get; init; }
}
