using System.Runtime.CompilerServices;
using ILGPU;

namespace AttentionKernels.Kernels.Device;

/// <summary>What happens to the output fragments of a warp outside the products: rescaling, and the way to memory through shared memory.</summary>
internal static class OutputRows<T, H>
    where T : struct, IElement
    where H : struct, IHead
{
    /// <summary>Multiplies the two rows of a row fragment whose first fragment is <paramref name="at"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Multiply(Fragment[] o, int at, float upper, float lower)
    {
        Multiply8(o, at, upper, lower);
        if (H.Size > 64)
        {
            Multiply2(o, at + 8, upper, lower);
        }
        if (H.Size > 80)
        {
            Multiply2(o, at + 10, upper, lower);
        }
        if (H.Size > 96)
        {
            Multiply2(o, at + 12, upper, lower);
            Multiply2(o, at + 14, upper, lower);
        }
    }

    /// <summary>All fragments of both row fragments become 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Clear(Fragment[] o)
    {
        Clear16(o, 0);
        if (H.Size > 64)
        {
            Clear4(o, 16);
        }
        if (H.Size > 80)
        {
            Clear4(o, 20);
        }
        if (H.Size > 96)
        {
            Clear4(o, 24);
            Clear4(o, 28);
        }
    }

    /// <summary>Writes a row fragment, times a factor for each row, to 16 rows in shared memory that belong to the warp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void ToShared(Fragment[] o, int at, float upper, float lower, int shared, int lane)
    {
        shared += ((lane >> 2) * HeadTile<H>.Pitch) + ((lane & 3) * 4);
        ToShared8(o, at, upper, lower, shared);
        if (H.Size > 64)
        {
            ToShared2(o, at + 8, upper, lower, shared + 128);
        }
        if (H.Size > 80)
        {
            ToShared2(o, at + 10, upper, lower, shared + 160);
        }
        if (H.Size > 96)
        {
            ToShared2(o, at + 12, upper, lower, shared + 192);
            ToShared2(o, at + 14, upper, lower, shared + 224);
        }
    }

    /// <summary>Copies the warp's rows from shared to global memory, 16 bytes at a time.</summary>
    /// <param name="shared">The warp's first row.</param>
    /// <param name="global">Address of that row in the output.</param>
    /// <param name="stride">Bytes from one row of the output to the next.</param>
    /// <param name="rows">Rows of the warp that exist.</param>
    /// <param name="spoken">Address of an int32 for each of them: a row with 0 or more is in U and is left out; 0: none is.</param>
    /// <param name="lane">Number of the lane.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void ToGlobal(int shared, long global, long stride, int rows, long spoken, int lane)
    {
        Lanes.Synchronise();
        // As many lanes for a row as it has chunks of 16 bytes, or 8 lanes and then again for what is left.
        Columns(shared, global, stride, rows, spoken, lane >> 3, 4, (lane & 7) * 16);
        if (H.Size == 128)
        {
            Columns(shared, global, stride, rows, spoken, lane >> 3, 4, 128 + ((lane & 7) * 16));
        }
        if (H.Size == 96)
        {
            Columns(shared, global, stride, rows, spoken, HeadTile<H>.RestRow(lane >> 2), 8, 128 + ((lane & 3) * 16));
        }
        if (H.Size == 80)
        {
            Columns(shared, global, stride, rows, spoken, HeadTile<H>.RestRow(lane >> 1), 16, 128 + ((lane & 1) * 16));
        }
    }

    /// <summary>Writes one row of a row fragment as float32.</summary>
    /// <param name="o">Fragments.</param>
    /// <param name="at">First fragment of the row fragment.</param>
    /// <param name="isUpper">Which of the lane's two rows.</param>
    /// <param name="global">Address of the row, 8-byte aligned.</param>
    /// <param name="lane">Number of the lane.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void ToFloats(Fragment[] o, int at, bool isUpper, long global, int lane)
    {
        global += (lane & 3) * 8;
        ToFloats4(o, at, isUpper, global);
        ToFloats4(o, at + 4, isUpper, global + 128);
        if (H.Size > 64)
        {
            ToFloats2(o, at + 8, isUpper, global + 256);
        }
        if (H.Size > 80)
        {
            ToFloats2(o, at + 10, isUpper, global + 320);
        }
        if (H.Size > 96)
        {
            ToFloats4(o, at + 12, isUpper, global + 384);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Clear16(Fragment[] o, int at)
    {
        Clear4(o, at);
        Clear4(o, at + 4);
        Clear4(o, at + 8);
        Clear4(o, at + 12);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Clear4(Fragment[] o, int at)
    {
        o[at] = default;
        o[at + 1] = default;
        o[at + 2] = default;
        o[at + 3] = default;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ToFloats4(Fragment[] o, int at, bool isUpper, long global)
    {
        ToFloats2(o, at, isUpper, global);
        ToFloats2(o, at + 2, isUpper, global + 64);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ToFloats2(Fragment[] o, int at, bool isUpper, long global)
    {
        GlobalMemory.StorePair(global, isUpper ? o[at].X : o[at].Z, isUpper ? o[at].Y : o[at].W);
        GlobalMemory.StorePair(global + 32, isUpper ? o[at + 1].X : o[at + 1].Z, isUpper ? o[at + 1].Y : o[at + 1].W);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Columns(int shared, long global, long stride, int rows, long spoken, int first, int step, int column)
    {
        for (int row = first; row < rows; row += step)
        {
            if (spoken == 0 || GlobalMemory.LoadInt(spoken + (row * 4L)) < 0)
            {
                GlobalMemory.StoreVector(global + (row * stride) + column, BlockMemory.LoadVector(shared + (row * HeadTile<H>.Pitch) + column));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Multiply8(Fragment[] o, int at, float upper, float lower)
    {
        Multiply2(o, at, upper, lower);
        Multiply2(o, at + 2, upper, lower);
        Multiply2(o, at + 4, upper, lower);
        Multiply2(o, at + 6, upper, lower);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Multiply2(Fragment[] o, int at, float upper, float lower)
    {
        Multiply(ref o[at], upper, lower);
        Multiply(ref o[at + 1], upper, lower);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Multiply(ref Fragment o, float upper, float lower)
    {
        o.X *= upper;
        o.Y *= upper;
        o.Z *= lower;
        o.W *= lower;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ToShared8(Fragment[] o, int at, float upper, float lower, int shared)
    {
        ToShared2(o, at, upper, lower, shared);
        ToShared2(o, at + 2, upper, lower, shared + 32);
        ToShared2(o, at + 4, upper, lower, shared + 64);
        ToShared2(o, at + 6, upper, lower, shared + 96);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ToShared2(Fragment[] o, int at, float upper, float lower, int shared)
    {
        ToShared(o[at], upper, lower, shared);
        ToShared(o[at + 1], upper, lower, shared + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ToShared(Fragment o, float upper, float lower, int shared)
    {
        BlockMemory.Store(shared, Arithmetic.Pack<T>(o.X * upper, o.Y * upper));
        BlockMemory.Store(shared + (8 * HeadTile<H>.Pitch), Arithmetic.Pack<T>(o.Z * lower, o.W * lower));
    }
}
