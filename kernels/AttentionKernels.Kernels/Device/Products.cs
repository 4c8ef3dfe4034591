using System.Runtime.CompilerServices;

namespace AttentionKernels.Kernels.Device;

/// <summary>The two products of attention for one warp, on a tile of 32 keys, unrolled: a call for each 16 elements of the head and each 16 keys.</summary>
/// <remarks>
/// A warp has one or two row fragments of 16 query rows; with two, each load of keys and values serves twice as many products. Fragments of the logits are
/// [row fragment][4 of 8 keys], those of the output [row fragment][D / 8 of 8 elements].
/// </remarks>
internal static class Products<T, H>
    where T : struct, IElement
    where H : struct, IHead
{
    /// <summary>Fragments of the logits of a row fragment.</summary>
    public const int LogitFragments = 4;

    /// <summary>Fragments of the output of a row fragment.</summary>
    public static int OutputFragments => H.Size / 8;

    /// <summary>Where a lane reads query rows or values that start at <paramref name="shared"/>: row lane % 16, 8 elements on for the upper lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int RowAddress(int shared, int lane) => shared + ((lane & 15) * HeadTile<H>.Pitch) + ((lane >> 4) * 16);

    /// <summary>Where a lane reads keys: row lane % 8, 8 rows on for the upper lanes, 8 elements on for every second eight.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int KeyAddress(int shared, int lane) => shared + (((lane & 7) + ((lane >> 4) * 8)) * HeadTile<H>.Pitch) + (((lane >> 3) & 1) * 16);

    /// <summary>
    /// Whether the two row fragments of the query stay in registers, D / 2 of them, which saves a third of all loads from shared memory. At D = 128 the output takes 128, and 64 more are not there.
    /// </summary>
    public static bool KeepsQuery => H.Size <= 96;

    /// <summary>Fragments of the query to have room for; 1 where they are not kept.</summary>
    public static int QueryFragments => KeepsQuery ? H.Size / 8 : 1;

    /// <summary>Loads the query, if it is kept. It must have arrived.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LoadQuery(Int4[] q, int query)
    {
        if (KeepsQuery)
        {
            LoadQuery(q, query, 0);
            LoadQuery(q, query, 1);
            LoadQuery(q, query, 2);
            LoadQuery(q, query, 3);
            if (H.Size > 64)
            {
                LoadQuery(q, query, 4);
            }
            if (H.Size > 80)
            {
                LoadQuery(q, query, 5);
            }
        }
    }

    /// <summary>s = q k^T for two row fragments, with the query in registers where it is kept. Addresses are the lane's.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void QueryKey(Fragment[] s, Int4[] q, int query, int key)
    {
        if (KeepsQuery)
        {
            Clear(s, 0);
            Clear(s, LogitFragments);
            Elements(s, q, key, 0);
            Elements(s, q, key, 1);
            Elements(s, q, key, 2);
            Elements(s, q, key, 3);
            if (H.Size > 64)
            {
                Elements(s, q, key, 4);
            }
            if (H.Size > 80)
            {
                Elements(s, q, key, 5);
            }
        }
        else
        {
            QueryKey(s, query, key, 2);
        }
    }

    /// <summary>s = q k^T. Addresses are the lane's.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void QueryKey(Fragment[] s, int query, int key, int rowFragments)
    {
        Clear(s, 0);
        if (rowFragments == 2)
        {
            Clear(s, LogitFragments);
        }
        Elements(s, query, key, 0, rowFragments);
        Elements(s, query, key, 1, rowFragments);
        Elements(s, query, key, 2, rowFragments);
        Elements(s, query, key, 3, rowFragments);
        if (H.Size > 64)
        {
            Elements(s, query, key, 4, rowFragments);
        }
        if (H.Size > 80)
        {
            Elements(s, query, key, 5, rowFragments);
        }
        if (H.Size > 96)
        {
            Elements(s, query, key, 6, rowFragments);
            Elements(s, query, key, 7, rowFragments);
        }
    }

    /// <summary>o += p v for 16 keys, both row fragments.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddValues(Fragment[] o, Int4 p0, Int4 p1, int value) => Values(o, 0, p0, p1, value, 2);

    /// <summary>o += p v for 16 keys, the row fragment whose output begins at <paramref name="at"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddValues(Fragment[] o, int at, Int4 p, int value) => Values(o, at, p, default, value, 1);

    /// <summary>Address of the values 16 keys on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Skip16(int address) => address + (16 * HeadTile<H>.Pitch);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LoadQuery(Int4[] q, int query, int step)
    {
        q[2 * step] = Mma.Load(query + (step * 32));
        q[(2 * step) + 1] = Mma.Load(Skip16(query) + (step * 32));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Elements(Fragment[] s, Int4[] q, int key, int step)
    {
        Keys(s, q[2 * step], q[(2 * step) + 1], key + (step * 32), 0, 2);
        Keys(s, q[2 * step], q[(2 * step) + 1], key + (step * 32), 1, 2);
    }

    // 16 elements of the head, all 32 keys.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Elements(Fragment[] s, int query, int key, int step, int rowFragments)
    {
        Int4 q0 = Mma.Load(query + (step * 32)), q1 = default;
        if (rowFragments == 2)
        {
            q1 = Mma.Load(Skip16(query) + (step * 32));
        }
        Keys(s, q0, q1, key + (step * 32), 0, rowFragments);
        Keys(s, q0, q1, key + (step * 32), 1, rowFragments);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Keys(Fragment[] s, Int4 q0, Int4 q1, int key, int pair, int rowFragments)
    {
        Int4 k = Mma.Load(key + (pair * 16 * HeadTile<H>.Pitch));
        Mma.Add<T>(ref s[2 * pair], q0, k.X, k.Y);
        Mma.Add<T>(ref s[(2 * pair) + 1], q0, k.Z, k.W);
        if (rowFragments == 2)
        {
            Mma.Add<T>(ref s[LogitFragments + (2 * pair)], q1, k.X, k.Y);
            Mma.Add<T>(ref s[LogitFragments + (2 * pair) + 1], q1, k.Z, k.W);
        }
    }

    // 16 keys, all elements of the head.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Values(Fragment[] o, int at, Int4 p0, Int4 p1, int value, int rowFragments)
    {
        Values(o, at, p0, p1, value, 0, rowFragments);
        Values(o, at, p0, p1, value, 1, rowFragments);
        Values(o, at, p0, p1, value, 2, rowFragments);
        Values(o, at, p0, p1, value, 3, rowFragments);
        if (H.Size > 64)
        {
            Values(o, at, p0, p1, value, 4, rowFragments);
        }
        if (H.Size > 80)
        {
            Values(o, at, p0, p1, value, 5, rowFragments);
        }
        if (H.Size > 96)
        {
            Values(o, at, p0, p1, value, 6, rowFragments);
            Values(o, at, p0, p1, value, 7, rowFragments);
        }
    }

    // 16 elements of the head.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Values(Fragment[] o, int at, Int4 p0, Int4 p1, int value, int step, int rowFragments)
    {
        Int4 v = Mma.LoadTransposed(value + (step * 32));
        Mma.Add<T>(ref o[at + (2 * step)], p0, v.X, v.Y);
        Mma.Add<T>(ref o[at + (2 * step) + 1], p0, v.Z, v.W);
        if (rowFragments == 2)
        {
            Mma.Add<T>(ref o[at + OutputFragments + (2 * step)], p1, v.X, v.Y);
            Mma.Add<T>(ref o[at + OutputFragments + (2 * step) + 1], p1, v.Z, v.W);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Clear(Fragment[] s, int first)
    {
        s[first] = default;
        s[first + 1] = default;
        s[first + 2] = default;
        s[first + 3] = default;
    }
}
