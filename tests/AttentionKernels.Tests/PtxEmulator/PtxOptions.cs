namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>The emulated device and how strict it is.</summary>
internal sealed record PtxOptions
{
    public static PtxOptions Default { get; } = new();

    /// <summary>Compute capability times ten: decides how much shared memory a block may have.</summary>
    public int Architecture { get; init; } = 80;

    /// <summary>
    /// Not null: results of approximate instructions carry an error within the documented bound, a function of this seed, the
    /// instruction and its input. Null: they are rounded exactly.
    /// </summary>
    public int? ApproximationSeed { get; init; }

    /// <summary>Whether products and sums without .rn are fused wherever a compiler may (<see cref="Contraction"/>), and not anywhere.</summary>
    public bool Contracts { get; init; }

    /// <summary>
    /// Whether mma adds eight products and C as tensor cores were seen to do (Fasi et al., Numerical behavior of NVIDIA tensor cores, 2021, for compute capability 7.0 to 8.0), at their worst:
    /// each term loses what lies below the 24 bits of the largest one, and the sum is cut, not rounded, to float32. Otherwise every sum is rounded to nearest.
    /// </summary>
    public bool TruncatesSums { get; init; }

    /// <summary>Warp instructions of one block before it counts as endless.</summary>
    public long MostInstructions { get; init; } = 200_000_000;

    /// <summary>Blocks that run at the same time.</summary>
    public int Workers { get; init; } = Environment.ProcessorCount;

    /// <summary>Largest shared memory of a block in bytes.</summary>
    public int MostSharedBytes => Architecture switch
    {
        80 or 87 => 163 * 1024,
        86 or 89 or 120 => 99 * 1024,
        _ => 227 * 1024,
    };
}
