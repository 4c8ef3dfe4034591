using System.Runtime.CompilerServices;

namespace AttentionKernels.Kernels.Device;

/// <summary>Hides what a row does not see, in the logits of a row fragment on a tile of 32 keys.</summary>
internal static class LogitMask
{
    /// <summary>Logits of keys outside [first, end) become -inf.</summary>
    /// <param name="s">Logits.</param>
    /// <param name="at">First fragment of the row fragment.</param>
    /// <param name="v">What rows see.</param>
    /// <param name="position">Position of the lane's upper row; the lower one is 8 on.</param>
    /// <param name="key">The lane's first key: the tile's first key + 2 * (lane % 4).</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Apply(Fragment[] s, int at, Visibility v, int position, int key)
    {
        int first0 = Visibility.First(v, position), first1 = Visibility.First(v, position + 8);
        uint count0 = Count(first0, Visibility.End(v, position)), count1 = Count(first1, Visibility.End(v, position + 8));
        first0 = key - first0;
        first1 = key - first1;
        Apply(ref s[at], first0, count0, first1, count1);
        Apply(ref s[at + 1], first0 + 8, count0, first1 + 8, count1);
        Apply(ref s[at + 2], first0 + 16, count0, first1 + 16, count1);
        Apply(ref s[at + 3], first0 + 24, count0, first1 + 24, count1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Count(int first, int end) => (uint)Math.Max(0, end - first);

    // As unsigned numbers, keys before the first one are beyond every count.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Apply(ref Fragment s, int upper, uint upperCount, int lower, uint lowerCount)
    {
        s.X = Arithmetic.Select((uint)upper < upperCount, s.X, float.NegativeInfinity);
        s.Y = Arithmetic.Select((uint)(upper + 1) < upperCount, s.Y, float.NegativeInfinity);
        s.Z = Arithmetic.Select((uint)lower < lowerCount, s.Z, float.NegativeInfinity);
        s.W = Arithmetic.Select((uint)(lower + 1) < lowerCount, s.W, float.NegativeInfinity);
    }
}
