namespace AttentionKernels.Cpu;

/// <summary>
/// Lays arrays out one after the other, each on its own cache line. Over a null base it only measures, so that the same code that
/// uses the memory also says how much of it there must be.
/// </summary>
internal unsafe ref struct ScratchCursor(void* start)
{
    /// <summary>Cache line and widest vector.</summary>
    public const int Alignment = 64;

    private nuint _used;

    /// <summary>Bytes laid out so far.</summary>
    public readonly nuint Used => _used;

    /// <summary>The next <paramref name="bytes"/> bytes, uninitialised.</summary>
    public void* Take(nuint bytes)
    {
        byte* at = (byte*)start + _used;
        _used = checked(_used + ((bytes + Alignment - 1) & ~(nuint)(Alignment - 1)));
        return at;
    }
}
