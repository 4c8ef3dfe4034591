namespace AttentionKernels.Cpu;

/// <summary>A tile of K and V on its way through the panels of a task.</summary>
internal unsafe struct KeyTile
{
    /// <summary>First key.</summary>
    public int First;

    /// <summary>Keys that any panel sees.</summary>
    public int Keys;

    /// <summary>[Keys, D] rows of K.</summary>
    public float* Key;

    /// <summary>[Keys, ValueHeadSize] rows of V; null when only scores are wanted.</summary>
    public float* Value;

    /// <summary>Floats from one row to the next.</summary>
    public nint KeyStride, ValueStride;

    /// <summary>Bit for each key about whose values somebody asked whether they are finite, and for those of them that have one that is not.</summary>
    public ulong Checked, Exceptions;

    /// <summary>First query row of the panel that <see cref="Roles"/> and its lanes in <see cref="BlockMemory"/> were worked out for; -1: none.</summary>
    public int RolesRow;

    /// <summary>What the keys are to that panel's rows of U.</summary>
    public TileRoles Roles;

    /// <summary>The tile after this one.</summary>
    public TilePrefetch Ahead;
}
