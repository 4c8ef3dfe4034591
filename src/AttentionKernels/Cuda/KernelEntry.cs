namespace AttentionKernels.Cuda;

/// <summary>One compiled kernel, as the manifest describes it.</summary>
internal sealed class KernelEntry
{
    /// <summary>Place in the manifest: what tables of kernels are indexed by.</summary>
    public required int Index { get; init; }

    /// <summary>Entry symbol in the PTX.</summary>
    public required string Name { get; init; }

    /// <summary>PTX file.</summary>
    public required string File { get; init; }

    /// <summary>Stem, as "PrefillPlain".</summary>
    public required string Kernel { get; init; }

    /// <summary>Element type of the tensors; null: any, or none.</summary>
    public required ElementType? Type { get; init; }

    /// <summary>Head size D; 0: any.</summary>
    public required int HeadSize { get; init; }

    /// <summary>Which of several kernels of the same stem, type and head size; empty: the only one.</summary>
    public required string Variant { get; init; }

    /// <summary>Parameters in their order.</summary>
    public required KernelParameter[] Parameters { get; init; }

    /// <summary>Set of <see cref="Parameters"/>, a bit for each.</summary>
    public required UInt128 ParameterSet { get; init; }

    /// <summary>Threads of a block.</summary>
    public required int Threads { get; init; }

    /// <summary>Dynamic shared memory of a block.</summary>
    public required int DynamicSharedBytes { get; init; }

    /// <summary>Query rows of a block; 0 where that means nothing.</summary>
    public required int Rows { get; init; }

    /// <summary>Keys of a tile; 0 where that means nothing.</summary>
    public required int Keys { get; init; }

    /// <summary>The kernel, for messages.</summary>
    public override string ToString() => $"{Name} of {File}";
}
