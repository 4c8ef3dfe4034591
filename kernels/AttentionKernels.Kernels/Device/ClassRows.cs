using System.Runtime.CompilerServices;

namespace AttentionKernels.Kernels.Device;

/// <summary>
/// Running softmax of the two rows that a lane has of a row fragment, aligned keys apart from the rest, and what of the rest are keys of V_all. For rows that are not in U every
/// key is of the rest.
/// </summary>
internal struct ClassRows
{
    /// <summary>Keys that are not aligned.</summary>
    public RowState Rest;

    /// <summary>Aligned keys.</summary>
    public RowState Aligned;

    /// <summary>Largest logit, in base-2 units, of the lane's keys of V_all that are not aligned.</summary>
    private float _upperBoxed, _lowerBoxed;

    /// <summary>Part of the rest's sum that is on them.</summary>
    private float _upperBoxedSum, _lowerBoxedSum;

    /// <summary>Address of a bit for each key that the row is aligned with; 0: the row is not in U.</summary>
    private long _upperBits, _lowerBits;

    /// <summary>For rows with these indices in U, -1: not in U.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ClassRows Of(int upper, int lower, long run, long aligned, int tiles) => new()
    {
        Rest = RowState.Empty(),
        Aligned = RowState.Empty(),
        _upperBoxed = float.NegativeInfinity,
        _lowerBoxed = float.NegativeInfinity,
        _upperBits = BitsOf(upper, run, aligned, tiles),
        _lowerBits = BitsOf(lower, run, aligned, tiles),
    };

    /// <summary>Index in U of a row of batch element <paramref name="b"/>; -1: not in U, or beyond the rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int IndexOf(long spokenIndex, int b, int row, int queryLength)
    {
        int index = -1;
        if (spokenIndex != 0 & row < queryLength)
        {
            index = GlobalMemory.LoadInt(spokenIndex + ((((long)b * queryLength) + row) * 4));
        }
        return index;
    }

    /// <summary>Which keys of a tile the upper row is aligned with: bit 8n + c is the lane's key in fragment n, column c of its two.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int UpperKeys(ClassRows r, int first, int lane) => Word(r._upperBits, first) >> ((lane & 3) * 2);

    /// <summary>The same of the lower row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int LowerKeys(ClassRows r, int first, int lane) => Word(r._lowerBits, first) >> ((lane & 3) * 2);

    /// <summary>A bit for each of a tile's 32 keys, from a bit set at an address; 0 without an address.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Word(long bits, int first)
    {
        int word = 0;
        if (bits != 0)
        {
            word = GlobalMemory.LoadInt(bits + ((first >> 5) * 4));
        }
        return word;
    }

    /// <summary>Takes aligned keys out of the logits <paramref name="s"/> and into <paramref name="a"/>; elsewhere both are -inf.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Split(Fragment[] s, int at, Fragment[] a, int upper, int lower)
    {
        Split(ref s[at], ref a[at], upper, lower);
        Split(ref s[at + 1], ref a[at + 1], upper >> 8, lower >> 8);
        Split(ref s[at + 2], ref a[at + 2], upper >> 16, lower >> 16);
        Split(ref s[at + 3], ref a[at + 3], upper >> 24, lower >> 24);
    }

    /// <summary>Makes the sums over keys of V_all relative to the rest's new maximum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Rescale(ref ClassRows r, float upper, float lower)
    {
        r._upperBoxedSum *= upper;
        r._lowerBoxedSum *= lower;
    }

    /// <summary>Takes the keys of V_all among a tile's logits of the rest, in base-2 units, after the rest's maximum was raised by them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddBoxed(Fragment[] s, int at, int boxed, ref ClassRows r)
    {
        AddBoxed(s[at], boxed, ref r);
        AddBoxed(s[at + 1], boxed >> 8, ref r);
        AddBoxed(s[at + 2], boxed >> 16, ref r);
        AddBoxed(s[at + 3], boxed >> 24, ref r);
    }

    /// <summary>What a row of U leaves, reduced over its four lanes. All lanes must take part.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SpokenStats Upper(ClassRows r) => Stats(
        r.Aligned.UpperMaximum, r.Aligned.UpperSum, r.Rest.UpperMaximum, r.Rest.UpperSum, r._upperBoxed, r._upperBoxedSum);

    /// <inheritdoc cref="Upper"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SpokenStats Lower(ClassRows r) => Stats(
        r.Aligned.LowerMaximum, r.Aligned.LowerSum, r.Rest.LowerMaximum, r.Rest.LowerSum, r._lowerBoxed, r._lowerBoxedSum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static SpokenStats Stats(float maxAligned, float sumAligned, float maxRest, float sumRest, float maxBoxed, float sumBoxed) => new()
    {
        MaxAligned = maxAligned,
        SumAligned = Lanes.QuadSum(sumAligned),
        MaxRest = maxRest,
        SumRest = Lanes.QuadSum(sumRest),
        SumBoxed = Lanes.QuadSum(sumBoxed),
        MaxBoxed = Arithmetic.Max(maxAligned, Lanes.QuadMax(maxBoxed)),
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static long BitsOf(int index, long run, long aligned, int tiles)
    {
        long bits = 0;
        if (index >= 0)
        {
            bits = aligned + ((long)GlobalMemory.LoadInt(run + (index * 4L)) * tiles * 8);
        }
        return bits;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Split(ref Fragment s, ref Fragment a, int upper, int lower)
    {
        bool x = (upper & 1) != 0, y = (upper & 2) != 0, z = (lower & 1) != 0, w = (lower & 2) != 0;
        a.X = Arithmetic.Select(x, s.X, float.NegativeInfinity);
        a.Y = Arithmetic.Select(y, s.Y, float.NegativeInfinity);
        a.Z = Arithmetic.Select(z, s.Z, float.NegativeInfinity);
        a.W = Arithmetic.Select(w, s.W, float.NegativeInfinity);
        s.X = Arithmetic.Select(x, float.NegativeInfinity, s.X);
        s.Y = Arithmetic.Select(y, float.NegativeInfinity, s.Y);
        s.Z = Arithmetic.Select(z, float.NegativeInfinity, s.Z);
        s.W = Arithmetic.Select(w, float.NegativeInfinity, s.W);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddBoxed(Fragment s, int boxed, ref ClassRows r)
    {
        bool first = (boxed & 1) != 0, second = (boxed & 2) != 0;
        AddBoxed(Arithmetic.Select(first, s.X, float.NegativeInfinity), r.Rest.UpperMaximum, ref r._upperBoxed, ref r._upperBoxedSum);
        AddBoxed(Arithmetic.Select(second, s.Y, float.NegativeInfinity), r.Rest.UpperMaximum, ref r._upperBoxed, ref r._upperBoxedSum);
        AddBoxed(Arithmetic.Select(first, s.Z, float.NegativeInfinity), r.Rest.LowerMaximum, ref r._lowerBoxed, ref r._lowerBoxedSum);
        AddBoxed(Arithmetic.Select(second, s.W, float.NegativeInfinity), r.Rest.LowerMaximum, ref r._lowerBoxed, ref r._lowerBoxedSum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddBoxed(float s, float maximum, ref float boxed, ref float sum)
    {
        boxed = Arithmetic.Max(boxed, s);
        sum += Softmax.Exponential(s, maximum);
    }
}
