namespace AttentionKernels.Cpu;

/// <summary>What the keys of one tile are to the rows of U in one block.</summary>
/// <param name="HasBoxed">Whether any key is in V_all.</param>
/// <param name="FirstAligned">First key of the tile that is aligned with a row.</param>
/// <param name="EndAligned">End of the keys that are aligned with a row; not above FirstAligned if there is none.</param>
internal readonly record struct TileRoles(bool HasBoxed, int FirstAligned, int EndAligned)
{
    /// <summary>Whether any key is aligned with a row.</summary>
    public bool HasAligned => EndAligned > FirstAligned;
}
