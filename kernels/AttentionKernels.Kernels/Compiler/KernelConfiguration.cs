using System.Reflection;

namespace AttentionKernels.Kernels.Compiler;

/// <summary>One compiled kernel: which method with which type arguments, and what its launch needs.</summary>
internal sealed record KernelConfiguration
{
    /// <summary>Stem of the kernel, the same everywhere.</summary>
    public required string Kernel { get; init; }

    /// <summary>The static method, type arguments filled in.</summary>
    public required MethodInfo Method { get; init; }

    /// <summary>"f16", "bf16" or "f32"; null: the kernel has no element type.</summary>
    public string? ElementType { get; init; }

    /// <summary>Head size that it is made for; null: any.</summary>
    public int? HeadSize { get; init; }

    /// <summary>What distinguishes it from other configurations of the same kernel, element type and head size; null: nothing.</summary>
    public string? Variant { get; init; }

    /// <summary>Threads of a block.</summary>
    public required int Threads { get; init; }

    /// <summary>Blocks that a multiprocessor shall hold at a time: with <see cref="Threads"/> the limit of registers.</summary>
    public int MinBlocks { get; init; } = 1;

    /// <summary>Dynamic shared memory of a block in bytes; 0: none, or the launcher decides.</summary>
    public int DynamicSharedBytes { get; init; }

    /// <summary>Query rows of a block; 0 where there are none.</summary>
    public int Rows { get; init; }

    /// <summary>Keys of a tile; 0 where there are none.</summary>
    public int Keys { get; init; }

    /// <summary>Registers a thread may use: the gate fails above.</summary>
    public required int MaxRegisters { get; init; }

    /// <summary>Entry symbol, and file name without extension.</summary>
    public string Name => string.Join('_', new[] { Kernel, ElementType, HeadSize?.ToString(), Variant }.Where(part => part != null));
}
