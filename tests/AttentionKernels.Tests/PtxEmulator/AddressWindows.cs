namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Where shared and local memory lie in the generic address space: above every host address.</summary>
internal static class AddressWindows
{
    public const ulong Shared = 1ul << 60;
    public const ulong Local = 1ul << 61;
    private const ulong Size = 1ul << 32;

    /// <summary>Space of a generic address; the address becomes one of that space.</summary>
    public static PtxSpace Resolve(ref ulong address)
    {
        if (address - Shared < Size)
        {
            address -= Shared;
            return PtxSpace.Shared;
        }
        if (address - Local < Size)
        {
            address -= Local;
            return PtxSpace.Local;
        }
        return PtxSpace.Global;
    }

    /// <summary>First generic address of a space.</summary>
    public static ulong Base(PtxSpace space) => space switch
    {
        PtxSpace.Shared => Shared,
        PtxSpace.Local => Local,
        _ => 0,
    };
}
