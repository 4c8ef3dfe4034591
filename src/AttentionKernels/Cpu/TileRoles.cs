namespace AttentionKernels.Cpu;

/// <summary>What the keys of one tile are to the rows of U in one block.</summary>
/// <param name="Boxed">Bit for each key of V_all.</param>
/// <param name="Aligned">Bit for each key that is aligned with any row.</param>
internal readonly record struct TileRoles(ulong Boxed, ulong Aligned);
