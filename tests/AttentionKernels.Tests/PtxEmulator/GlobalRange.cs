namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Memory that kernels may touch.</summary>
internal sealed class GlobalRange(ulong start, ulong bytes, string name)
{
    public ulong Start { get; } = start;

    public ulong End { get; } = start + bytes;

    public string Name { get; } = name;

    public bool Writable { get; set; }

    /// <summary>
    /// One tag for each byte: 0 never written, 1 written before this launch, else the block of this launch that wrote it
    /// (<see cref="GlobalMemory.TagOf"/>). Null: all bytes have values and none can be written.
    /// </summary>
    public uint[]? Tags { get; set; }

    /// <summary>The block of this launch that read each byte, or that no block may write it: <see cref="GlobalMemory.ConstantTag"/>. Null: nothing was read yet. Only where there are tags.</summary>
    public uint[]? Readers;

    public bool Holds(ulong address, uint bytes) => address >= Start && address + bytes <= End && address + bytes > address;
}
