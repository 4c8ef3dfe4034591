namespace AttentionKernels.Cpu;

/// <summary>What the keys of one tile are to the rows of U in one block.</summary>
/// <param name="HasBoxed">Whether any key is in V_all.</param>
/// <param name="HasAligned">Whether any key is aligned with a row.</param>
internal readonly record struct TileRoles(bool HasBoxed, bool HasAligned);
