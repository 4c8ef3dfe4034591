using System.Runtime.CompilerServices;

namespace AttentionKernels.Kernels.Device;

/// <summary>
/// Which keys the 32 rows of a warp are aligned with, a row for each lane, and which tiles hold some of them: noted in a first sweep over the keys, found again in a second one.
/// </summary>
/// <remarks>
/// The notes are 1024 bits, a word in each lane. Where there are more tiles, 2, 4, ... of them share a bit: then the second sweep meets tiles of which it needs nothing.
/// </remarks>
internal struct AlignedTiles
{
    private const int Groups = 1 << 10;

    /// <summary>Where the bits of the keys that the lane's row is aligned with begin, in words of 32 keys; -1: the row is not in U.</summary>
    private int _bits;

    /// <summary>Notes: bit i of lane l is group 32 l + i.</summary>
    public int Noted;

    /// <summary>For the lane's row.</summary>
    /// <param name="index">Its index in U; -1: not in U.</param>
    /// <param name="run">Address of the row of bits for each index in U.</param>
    /// <param name="tiles">64-bit words of a row of bits.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static AlignedTiles Of(int index, long run, int tiles)
    {
        AlignedTiles t = new() { _bits = -1 };
        if (index >= 0)
        {
            t._bits = GlobalMemory.LoadInt(run + (index * 4L)) * tiles * 2;
        }
        return t;
    }

    /// <summary>Which of a tile's keys the lane's row is aligned with, a bit for each.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Keys(AlignedTiles t, long aligned, int first) => ClassRows.Word(aligned, t._bits, first);

    /// <summary>Of what <see cref="Keys"/> gives in the lane of row <paramref name="row"/> of the warp: bit 8n + c is the lane's key in fragment n, column c of its two.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int OfRow(int keys, int row, int lane) => Lanes.From(keys, row) >> ((lane & 3) * 2);

    /// <summary>Notes a tile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Note(ref AlignedTiles t, int tiles, int first, int lane)
    {
        int group = first >> Log2Keys(tiles);
        if (group >> 5 == lane)
        {
            t.Noted |= 1 << (group & 31);
        }
    }

    /// <summary>First key of the first group that was noted, whose note goes; beyond all keys where there is none left. Notes must be the block's in every warp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Take(ref AlignedTiles t, int tiles, int lane)
    {
        int lanes = Lanes.Ballot(t.Noted != 0), group = Groups;
        if (lanes != 0)
        {
            int first = Lanes.LowestBit(lanes);
            group = (first * 32) + Lanes.LowestBit(Lanes.From(t.Noted, first));
            if (lane == first)
            {
                t.Noted &= t.Noted - 1;
            }
        }
        return group << Log2Keys(tiles);
    }

    /// <summary>First key of the next tile: of the same group, or of the next one that was noted.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int After(ref AlignedTiles t, int tiles, int first, int lane)
    {
        int next = first + 32, log2Keys = Log2Keys(tiles);
        if (next >> log2Keys != first >> log2Keys)
        {
            next = Take(ref t, tiles, lane);
        }
        return next;
    }

    /// <summary>Takes aligned keys out of the logits of a row fragment: they become -inf.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Hide(Fragment[] s, int at, int upper, int lower)
    {
        Hide(ref s[at], upper, lower);
        Hide(ref s[at + 1], upper >> 8, lower >> 8);
        Hide(ref s[at + 2], upper >> 16, lower >> 16);
        Hide(ref s[at + 3], upper >> 24, lower >> 24);
    }

    /// <summary>Leaves nothing but aligned keys in the logits of a row fragment, in base-2 units.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Keep(Fragment[] s, int at, int upper, int lower, float log2)
    {
        Keep(ref s[at], upper, lower, log2);
        Keep(ref s[at + 1], upper >> 8, lower >> 8, log2);
        Keep(ref s[at + 2], upper >> 16, lower >> 16, log2);
        Keep(ref s[at + 3], upper >> 24, lower >> 24, log2);
    }

    // A group has 2^this keys, of 64 * tiles.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Log2Keys(int tiles) => Math.Max(5, Lanes.HighestBit((tiles * 64) - 1) - 9);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Hide(ref Fragment s, int upper, int lower)
    {
        s.X = Arithmetic.Select((upper & 1) != 0, float.NegativeInfinity, s.X);
        s.Y = Arithmetic.Select((upper & 2) != 0, float.NegativeInfinity, s.Y);
        s.Z = Arithmetic.Select((lower & 1) != 0, float.NegativeInfinity, s.Z);
        s.W = Arithmetic.Select((lower & 2) != 0, float.NegativeInfinity, s.W);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Keep(ref Fragment s, int upper, int lower, float log2)
    {
        s.X = Arithmetic.Select((upper & 1) != 0, s.X * log2, float.NegativeInfinity);
        s.Y = Arithmetic.Select((upper & 2) != 0, s.Y * log2, float.NegativeInfinity);
        s.Z = Arithmetic.Select((lower & 1) != 0, s.Z * log2, float.NegativeInfinity);
        s.W = Arithmetic.Select((lower & 2) != 0, s.W * log2, float.NegativeInfinity);
    }
}
