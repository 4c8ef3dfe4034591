using System.Runtime.CompilerServices;
using ILGPU;

namespace AttentionKernels.Kernels.Device;

/// <summary>Which keys the rows of one batch element see: lengths, causal mask, window. A row counts by its position among the keys.</summary>
internal struct Visibility
{
    // Lengths and positions are below 2^29: a sum with this stays an int.
    private const int Unlimited = 1 << 29;

    /// <summary>Valid keys.</summary>
    public int Keys;

    /// <summary>Position of row 0 among the keys.</summary>
    public int Offset;

    /// <summary>A row sees keys from this many before its position on.</summary>
    public int Before;

    /// <summary>A row sees keys that lie less than this after its position.</summary>
    public int After;

    /// <summary>Of batch element <paramref name="b"/>. Lengths and offsets are in device memory, so that a captured graph follows them, and nobody checked them before; address 0: all keys, and rows at their end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Visibility Of(int b, long keyLengths, long queryOffsets, int queryLength, int keyLength, int causal, int window)
    {
        Visibility v = new()
        {
            Keys = keyLength,
            Offset = keyLength - queryLength,
            Before = window > 0 ? Math.Min(window, Unlimited) - 1 : Unlimited,
            After = causal != 0 ? 1 : Unlimited,
        };
        if (keyLengths != 0)
        {
            v.Keys = IntrinsicMath.Clamp(GlobalMemory.LoadInt(keyLengths + (b * 4L)), 0, keyLength);
        }
        if (queryOffsets != 0)
        {
            v.Offset = IntrinsicMath.Clamp(GlobalMemory.LoadInt(queryOffsets + (b * 4L)), -Unlimited, Unlimited);
        }
        return v;
    }

    /// <summary>First key that the row at a position sees, 0 or more.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int First(Visibility v, int position) => Math.Max(0, position - v.Before);

    /// <summary>End of the keys that it sees; not after the first one when it sees none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int End(Visibility v, int position) => Math.Min(v.Keys, position + v.After);
}
