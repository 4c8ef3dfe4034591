namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Index of a block in a grid, or the size of a grid in blocks.</summary>
internal readonly record struct PtxBlockIndex(int X, int Y, int Z)
{
    public static implicit operator PtxBlockIndex((int X, int Y, int Z) index) => new(index.X, index.Y, index.Z);

    public override string ToString() => $"({X}, {Y}, {Z})";
}
