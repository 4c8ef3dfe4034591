using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace AttentionKernels.Cpu;

/// <summary>
/// C[r, lane] (+)= sum_k A(r, k) * B[k, lane]: the one matrix product of <see cref="AttentionBlock{V}"/>, register-blocked.
/// </summary>
/// <remarks>
/// <para>Lanes are query rows, so neither K nor V is transposed: A(r, k) = a[r * rowStride + k * stepStride] is K row-major in S^T = K Q^T and V
/// column-wise in O^T = V^T P^T, read by broadcast; B and C have a fixed pitch of <see cref="Pitch"/> lanes. Each C element is summed over
/// k in increasing order by fused multiply-adds, whatever block it falls into: results do not depend on which other rows share a call.</para>
/// <para>Register blocks are 6 rows by 4 vectors (AVX-512) or 2 (16 registers), on rows where they lie; few lanes go by one vector with the broadcast inside the
/// multiply-add. HISTORY.md has the alternatives that were measured. Rows must not lie a multiple of 4 KB apart: all 64 of a tile would fall into one set
/// of the first-level cache, and the product with V drop to half, which is why <see cref="AttentionBlock{V}"/> copies such tiles.</para>
/// </remarks>
internal static unsafe partial class Gemm
{
    /// <summary>Lanes from one row of B or C to the next. 64, so that one ulong holds a bit for each lane.</summary>
    public const int Pitch = 64;

    /// <param name="a">A(0, 0).</param>
    /// <param name="rowStride">Floats from A(r, k) to A(r + 1, k).</param>
    /// <param name="stepStride">Floats from A(r, k) to A(r, k + 1).</param>
    /// <param name="b">[steps, Pitch], 64-byte aligned.</param>
    /// <param name="c">[rows, Pitch].</param>
    /// <param name="rows">Rows of C.</param>
    /// <param name="steps">Terms of each sum.</param>
    /// <param name="lanes">Lanes to compute; rounded up to a vector.</param>
    /// <param name="accumulate">Add to C instead of overwriting it.</param>
    /// <param name="ahead">What is read afterwards: a little of it is asked for between two blocks; null: nothing.</param>
    public static void Multiply<V>(
        float* a, nint rowStride, nint stepStride, float* b, float* c, int rows, int steps, int lanes, bool accumulate, TilePrefetch* ahead = null)
        where V : struct, IVector<V>
    {
        Debug.Assert(lanes <= Pitch);
        int lane = 0;
        for (int vectors = V.BlockVectors; vectors > 1; vectors /= 2)
        {
            for (int wide = vectors * V.Count; lane + wide <= lanes; lane += wide)
            {
                int r = 0;
                for (int count; (count = RowsOfBlock(rows - r)) > 1; r += count)
                {
                    Wide<V>(vectors, count, a + (r * rowStride), rowStride, stepStride, b + lane, c + (r * Pitch) + lane, steps, accumulate);
                    TilePrefetch.Step(ahead);
                }
                for (; r < rows; r++)
                {
                    for (int vector = lane; vector < lane + wide; vector += V.Count)
                    {
                        Block1x1<V>(a + (r * rowStride), rowStride, stepStride, b + vector, c + (r * Pitch) + vector, steps, accumulate);
                    }
                }
            }
        }
        for (; lane < lanes; lane += V.Count)
        {
            int r = 0;
            for (; r + 12 <= rows; r += 12)
            {
                Block12x1<V>(a + (r * rowStride), rowStride, stepStride, b + lane, c + (r * Pitch) + lane, steps, accumulate);
                TilePrefetch.Step(ahead);
            }
            for (; r + 4 <= rows; r += 4)
            {
                Block4x1<V>(a + (r * rowStride), rowStride, stepStride, b + lane, c + (r * Pitch) + lane, steps, accumulate);
            }
            for (; r < rows; r++)
            {
                Block1x1<V>(a + (r * rowStride), rowStride, stepStride, b + lane, c + (r * Pitch) + lane, steps, accumulate);
            }
        }
    }

    /// <summary>8 rows are better two blocks of 4 than one of 6 and two of 1; fewer than 4 go one by one.</summary>
    private static int RowsOfBlock(int rows) => rows is >= 6 and not 8 ? 6 : rows >= 4 ? 4 : 1;

    /// <summary>6 or 4 rows by 4 or 2 vectors.</summary>
    private static void Wide<V>(int vectors, int rows, float* a, nint rowStride, nint stepStride, float* b, float* c, int steps, bool accumulate)
        where V : struct, IVector<V>
    {
        if (vectors == 4)
        {
            if (rows == 6)
            {
                Block6x4<V>(a, rowStride, stepStride, b, c, steps, accumulate);
            }
            else
            {
                Block4x4<V>(a, rowStride, stepStride, b, c, steps, accumulate);
            }
        }
        else if (rows == 6)
        {
            Block6x2<V>(a, rowStride, stepStride, b, c, steps, accumulate);
        }
        else
        {
            Block4x2<V>(a, rowStride, stepStride, b, c, steps, accumulate);
        }
    }

    /// <summary>6 rows by 4 vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block6x4<V>(float* a, nint rowStride, nint stepStride, float* b, float* c, int steps, bool accumulate)
        where V : struct, IVector<V>
    {
        V c0a = Start<V>(c, accumulate), c0b = Start<V>(c + V.Count, accumulate), c0c = Start<V>(c + (2 * V.Count), accumulate), c0d = Start<V>(c + (3 * V.Count), accumulate);
        V c1a = Start<V>(c + Pitch, accumulate), c1b = Start<V>(c + Pitch + V.Count, accumulate), c1c = Start<V>(c + Pitch + (2 * V.Count), accumulate), c1d = Start<V>(c + Pitch + (3 * V.Count), accumulate);
        V c2a = Start<V>(c + (2 * Pitch), accumulate), c2b = Start<V>(c + (2 * Pitch) + V.Count, accumulate), c2c = Start<V>(c + (2 * Pitch) + (2 * V.Count), accumulate), c2d = Start<V>(c + (2 * Pitch) + (3 * V.Count), accumulate);
        V c3a = Start<V>(c + (3 * Pitch), accumulate), c3b = Start<V>(c + (3 * Pitch) + V.Count, accumulate), c3c = Start<V>(c + (3 * Pitch) + (2 * V.Count), accumulate), c3d = Start<V>(c + (3 * Pitch) + (3 * V.Count), accumulate);
        V c4a = Start<V>(c + (4 * Pitch), accumulate), c4b = Start<V>(c + (4 * Pitch) + V.Count, accumulate), c4c = Start<V>(c + (4 * Pitch) + (2 * V.Count), accumulate), c4d = Start<V>(c + (4 * Pitch) + (3 * V.Count), accumulate);
        V c5a = Start<V>(c + (5 * Pitch), accumulate), c5b = Start<V>(c + (5 * Pitch) + V.Count, accumulate), c5c = Start<V>(c + (5 * Pitch) + (2 * V.Count), accumulate), c5d = Start<V>(c + (5 * Pitch) + (3 * V.Count), accumulate);
        float* a3 = a + (3 * rowStride);
        for (int k = 0; k < steps; k++, a += stepStride, a3 += stepStride, b += Pitch)
        {
            V ba = V.Load(b), bb = V.Load(b + V.Count), bc = V.Load(b + (2 * V.Count)), bd = V.Load(b + (3 * V.Count));
            V x = V.Broadcast(a[0]);
            V.Accumulate(x, ba, ref c0a);
            V.Accumulate(x, bb, ref c0b);
            V.Accumulate(x, bc, ref c0c);
            V.Accumulate(x, bd, ref c0d);
            x = V.Broadcast(a[rowStride]);
            V.Accumulate(x, ba, ref c1a);
            V.Accumulate(x, bb, ref c1b);
            V.Accumulate(x, bc, ref c1c);
            V.Accumulate(x, bd, ref c1d);
            x = V.Broadcast(a[2 * rowStride]);
            V.Accumulate(x, ba, ref c2a);
            V.Accumulate(x, bb, ref c2b);
            V.Accumulate(x, bc, ref c2c);
            V.Accumulate(x, bd, ref c2d);
            x = V.Broadcast(a3[0]);
            V.Accumulate(x, ba, ref c3a);
            V.Accumulate(x, bb, ref c3b);
            V.Accumulate(x, bc, ref c3c);
            V.Accumulate(x, bd, ref c3d);
            x = V.Broadcast(a3[rowStride]);
            V.Accumulate(x, ba, ref c4a);
            V.Accumulate(x, bb, ref c4b);
            V.Accumulate(x, bc, ref c4c);
            V.Accumulate(x, bd, ref c4d);
            x = V.Broadcast(a3[2 * rowStride]);
            V.Accumulate(x, ba, ref c5a);
            V.Accumulate(x, bb, ref c5b);
            V.Accumulate(x, bc, ref c5c);
            V.Accumulate(x, bd, ref c5d);
        }
        V.Store(c0a, c);
        V.Store(c0b, c + V.Count);
        V.Store(c0c, c + (2 * V.Count));
        V.Store(c0d, c + (3 * V.Count));
        V.Store(c1a, c + Pitch);
        V.Store(c1b, c + Pitch + V.Count);
        V.Store(c1c, c + Pitch + (2 * V.Count));
        V.Store(c1d, c + Pitch + (3 * V.Count));
        V.Store(c2a, c + (2 * Pitch));
        V.Store(c2b, c + (2 * Pitch) + V.Count);
        V.Store(c2c, c + (2 * Pitch) + (2 * V.Count));
        V.Store(c2d, c + (2 * Pitch) + (3 * V.Count));
        V.Store(c3a, c + (3 * Pitch));
        V.Store(c3b, c + (3 * Pitch) + V.Count);
        V.Store(c3c, c + (3 * Pitch) + (2 * V.Count));
        V.Store(c3d, c + (3 * Pitch) + (3 * V.Count));
        V.Store(c4a, c + (4 * Pitch));
        V.Store(c4b, c + (4 * Pitch) + V.Count);
        V.Store(c4c, c + (4 * Pitch) + (2 * V.Count));
        V.Store(c4d, c + (4 * Pitch) + (3 * V.Count));
        V.Store(c5a, c + (5 * Pitch));
        V.Store(c5b, c + (5 * Pitch) + V.Count);
        V.Store(c5c, c + (5 * Pitch) + (2 * V.Count));
        V.Store(c5d, c + (5 * Pitch) + (3 * V.Count));
    }

    /// <summary>4 rows by 4 vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block4x4<V>(float* a, nint rowStride, nint stepStride, float* b, float* c, int steps, bool accumulate)
        where V : struct, IVector<V>
    {
        V c0a = Start<V>(c, accumulate), c0b = Start<V>(c + V.Count, accumulate), c0c = Start<V>(c + (2 * V.Count), accumulate), c0d = Start<V>(c + (3 * V.Count), accumulate);
        V c1a = Start<V>(c + Pitch, accumulate), c1b = Start<V>(c + Pitch + V.Count, accumulate), c1c = Start<V>(c + Pitch + (2 * V.Count), accumulate), c1d = Start<V>(c + Pitch + (3 * V.Count), accumulate);
        V c2a = Start<V>(c + (2 * Pitch), accumulate), c2b = Start<V>(c + (2 * Pitch) + V.Count, accumulate), c2c = Start<V>(c + (2 * Pitch) + (2 * V.Count), accumulate), c2d = Start<V>(c + (2 * Pitch) + (3 * V.Count), accumulate);
        V c3a = Start<V>(c + (3 * Pitch), accumulate), c3b = Start<V>(c + (3 * Pitch) + V.Count, accumulate), c3c = Start<V>(c + (3 * Pitch) + (2 * V.Count), accumulate), c3d = Start<V>(c + (3 * Pitch) + (3 * V.Count), accumulate);
        for (int k = 0; k < steps; k++, a += stepStride, b += Pitch)
        {
            V ba = V.Load(b), bb = V.Load(b + V.Count), bc = V.Load(b + (2 * V.Count)), bd = V.Load(b + (3 * V.Count));
            V x = V.Broadcast(a[0]);
            V.Accumulate(x, ba, ref c0a);
            V.Accumulate(x, bb, ref c0b);
            V.Accumulate(x, bc, ref c0c);
            V.Accumulate(x, bd, ref c0d);
            x = V.Broadcast(a[rowStride]);
            V.Accumulate(x, ba, ref c1a);
            V.Accumulate(x, bb, ref c1b);
            V.Accumulate(x, bc, ref c1c);
            V.Accumulate(x, bd, ref c1d);
            x = V.Broadcast(a[2 * rowStride]);
            V.Accumulate(x, ba, ref c2a);
            V.Accumulate(x, bb, ref c2b);
            V.Accumulate(x, bc, ref c2c);
            V.Accumulate(x, bd, ref c2d);
            x = V.Broadcast(a[3 * rowStride]);
            V.Accumulate(x, ba, ref c3a);
            V.Accumulate(x, bb, ref c3b);
            V.Accumulate(x, bc, ref c3c);
            V.Accumulate(x, bd, ref c3d);
        }
        V.Store(c0a, c);
        V.Store(c0b, c + V.Count);
        V.Store(c0c, c + (2 * V.Count));
        V.Store(c0d, c + (3 * V.Count));
        V.Store(c1a, c + Pitch);
        V.Store(c1b, c + Pitch + V.Count);
        V.Store(c1c, c + Pitch + (2 * V.Count));
        V.Store(c1d, c + Pitch + (3 * V.Count));
        V.Store(c2a, c + (2 * Pitch));
        V.Store(c2b, c + (2 * Pitch) + V.Count);
        V.Store(c2c, c + (2 * Pitch) + (2 * V.Count));
        V.Store(c2d, c + (2 * Pitch) + (3 * V.Count));
        V.Store(c3a, c + (3 * Pitch));
        V.Store(c3b, c + (3 * Pitch) + V.Count);
        V.Store(c3c, c + (3 * Pitch) + (2 * V.Count));
        V.Store(c3d, c + (3 * Pitch) + (3 * V.Count));
    }

    /// <summary>6 rows by 2 vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block6x2<V>(float* a, nint rowStride, nint stepStride, float* b, float* c, int steps, bool accumulate)
        where V : struct, IVector<V>
    {
        V c0a = Start<V>(c, accumulate), c0b = Start<V>(c + V.Count, accumulate);
        V c1a = Start<V>(c + Pitch, accumulate), c1b = Start<V>(c + Pitch + V.Count, accumulate);
        V c2a = Start<V>(c + (2 * Pitch), accumulate), c2b = Start<V>(c + (2 * Pitch) + V.Count, accumulate);
        V c3a = Start<V>(c + (3 * Pitch), accumulate), c3b = Start<V>(c + (3 * Pitch) + V.Count, accumulate);
        V c4a = Start<V>(c + (4 * Pitch), accumulate), c4b = Start<V>(c + (4 * Pitch) + V.Count, accumulate);
        V c5a = Start<V>(c + (5 * Pitch), accumulate), c5b = Start<V>(c + (5 * Pitch) + V.Count, accumulate);
        float* a3 = a + (3 * rowStride);
        for (int k = 0; k < steps; k++, a += stepStride, a3 += stepStride, b += Pitch)
        {
            V ba = V.Load(b), bb = V.Load(b + V.Count);
            V x = V.Broadcast(a[0]);
            V.Accumulate(x, ba, ref c0a);
            V.Accumulate(x, bb, ref c0b);
            x = V.Broadcast(a[rowStride]);
            V.Accumulate(x, ba, ref c1a);
            V.Accumulate(x, bb, ref c1b);
            x = V.Broadcast(a[2 * rowStride]);
            V.Accumulate(x, ba, ref c2a);
            V.Accumulate(x, bb, ref c2b);
            x = V.Broadcast(a3[0]);
            V.Accumulate(x, ba, ref c3a);
            V.Accumulate(x, bb, ref c3b);
            x = V.Broadcast(a3[rowStride]);
            V.Accumulate(x, ba, ref c4a);
            V.Accumulate(x, bb, ref c4b);
            x = V.Broadcast(a3[2 * rowStride]);
            V.Accumulate(x, ba, ref c5a);
            V.Accumulate(x, bb, ref c5b);
        }
        V.Store(c0a, c);
        V.Store(c0b, c + V.Count);
        V.Store(c1a, c + Pitch);
        V.Store(c1b, c + Pitch + V.Count);
        V.Store(c2a, c + (2 * Pitch));
        V.Store(c2b, c + (2 * Pitch) + V.Count);
        V.Store(c3a, c + (3 * Pitch));
        V.Store(c3b, c + (3 * Pitch) + V.Count);
        V.Store(c4a, c + (4 * Pitch));
        V.Store(c4b, c + (4 * Pitch) + V.Count);
        V.Store(c5a, c + (5 * Pitch));
        V.Store(c5b, c + (5 * Pitch) + V.Count);
    }

    /// <summary>4 rows by 2 vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block4x2<V>(float* a, nint rowStride, nint stepStride, float* b, float* c, int steps, bool accumulate)
        where V : struct, IVector<V>
    {
        V c0a = Start<V>(c, accumulate), c0b = Start<V>(c + V.Count, accumulate);
        V c1a = Start<V>(c + Pitch, accumulate), c1b = Start<V>(c + Pitch + V.Count, accumulate);
        V c2a = Start<V>(c + (2 * Pitch), accumulate), c2b = Start<V>(c + (2 * Pitch) + V.Count, accumulate);
        V c3a = Start<V>(c + (3 * Pitch), accumulate), c3b = Start<V>(c + (3 * Pitch) + V.Count, accumulate);
        for (int k = 0; k < steps; k++, a += stepStride, b += Pitch)
        {
            V ba = V.Load(b), bb = V.Load(b + V.Count);
            V x = V.Broadcast(a[0]);
            V.Accumulate(x, ba, ref c0a);
            V.Accumulate(x, bb, ref c0b);
            x = V.Broadcast(a[rowStride]);
            V.Accumulate(x, ba, ref c1a);
            V.Accumulate(x, bb, ref c1b);
            x = V.Broadcast(a[2 * rowStride]);
            V.Accumulate(x, ba, ref c2a);
            V.Accumulate(x, bb, ref c2b);
            x = V.Broadcast(a[3 * rowStride]);
            V.Accumulate(x, ba, ref c3a);
            V.Accumulate(x, bb, ref c3b);
        }
        V.Store(c0a, c);
        V.Store(c0b, c + V.Count);
        V.Store(c1a, c + Pitch);
        V.Store(c1b, c + Pitch + V.Count);
        V.Store(c2a, c + (2 * Pitch));
        V.Store(c2b, c + (2 * Pitch) + V.Count);
        V.Store(c3a, c + (3 * Pitch));
        V.Store(c3b, c + (3 * Pitch) + V.Count);
    }

    /// <summary>12 rows by 1 vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block12x1<V>(float* a, nint rowStride, nint stepStride, float* b, float* c, int steps, bool accumulate)
        where V : struct, IVector<V>
    {
        V c0a = Start<V>(c, accumulate);
        V c1a = Start<V>(c + Pitch, accumulate);
        V c2a = Start<V>(c + (2 * Pitch), accumulate);
        V c3a = Start<V>(c + (3 * Pitch), accumulate);
        V c4a = Start<V>(c + (4 * Pitch), accumulate);
        V c5a = Start<V>(c + (5 * Pitch), accumulate);
        V c6a = Start<V>(c + (6 * Pitch), accumulate);
        V c7a = Start<V>(c + (7 * Pitch), accumulate);
        V c8a = Start<V>(c + (8 * Pitch), accumulate);
        V c9a = Start<V>(c + (9 * Pitch), accumulate);
        V c10a = Start<V>(c + (10 * Pitch), accumulate);
        V c11a = Start<V>(c + (11 * Pitch), accumulate);
        float* a3 = a + (3 * rowStride);
        float* a6 = a + (6 * rowStride);
        float* a9 = a + (9 * rowStride);
        for (int k = 0; k < steps; k++, a += stepStride, a3 += stepStride, a6 += stepStride, a9 += stepStride, b += Pitch)
        {
            V ba = V.Load(b);
            V.AccumulateBroadcast(a, ba, ref c0a);
            V.AccumulateBroadcast(a + rowStride, ba, ref c1a);
            V.AccumulateBroadcast(a + (2 * rowStride), ba, ref c2a);
            V.AccumulateBroadcast(a3, ba, ref c3a);
            V.AccumulateBroadcast(a3 + rowStride, ba, ref c4a);
            V.AccumulateBroadcast(a3 + (2 * rowStride), ba, ref c5a);
            V.AccumulateBroadcast(a6, ba, ref c6a);
            V.AccumulateBroadcast(a6 + rowStride, ba, ref c7a);
            V.AccumulateBroadcast(a6 + (2 * rowStride), ba, ref c8a);
            V.AccumulateBroadcast(a9, ba, ref c9a);
            V.AccumulateBroadcast(a9 + rowStride, ba, ref c10a);
            V.AccumulateBroadcast(a9 + (2 * rowStride), ba, ref c11a);
        }
        V.Store(c0a, c);
        V.Store(c1a, c + Pitch);
        V.Store(c2a, c + (2 * Pitch));
        V.Store(c3a, c + (3 * Pitch));
        V.Store(c4a, c + (4 * Pitch));
        V.Store(c5a, c + (5 * Pitch));
        V.Store(c6a, c + (6 * Pitch));
        V.Store(c7a, c + (7 * Pitch));
        V.Store(c8a, c + (8 * Pitch));
        V.Store(c9a, c + (9 * Pitch));
        V.Store(c10a, c + (10 * Pitch));
        V.Store(c11a, c + (11 * Pitch));
    }

    /// <summary>4 rows by 1 vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block4x1<V>(float* a, nint rowStride, nint stepStride, float* b, float* c, int steps, bool accumulate)
        where V : struct, IVector<V>
    {
        V c0a = Start<V>(c, accumulate);
        V c1a = Start<V>(c + Pitch, accumulate);
        V c2a = Start<V>(c + (2 * Pitch), accumulate);
        V c3a = Start<V>(c + (3 * Pitch), accumulate);
        for (int k = 0; k < steps; k++, a += stepStride, b += Pitch)
        {
            V ba = V.Load(b);
            V.AccumulateBroadcast(a, ba, ref c0a);
            V.AccumulateBroadcast(a + rowStride, ba, ref c1a);
            V.AccumulateBroadcast(a + (2 * rowStride), ba, ref c2a);
            V.AccumulateBroadcast(a + (3 * rowStride), ba, ref c3a);
        }
        V.Store(c0a, c);
        V.Store(c1a, c + Pitch);
        V.Store(c2a, c + (2 * Pitch));
        V.Store(c3a, c + (3 * Pitch));
    }

    /// <summary>1 rows by 1 vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block1x1<V>(float* a, nint rowStride, nint stepStride, float* b, float* c, int steps, bool accumulate)
        where V : struct, IVector<V>
    {
        V c0a = Start<V>(c, accumulate);
        for (int k = 0; k < steps; k++, a += stepStride, b += Pitch)
        {
            V ba = V.Load(b);
            V.AccumulateBroadcast(a, ba, ref c0a);
        }
        V.Store(c0a, c);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Start<V>(float* c, bool accumulate)
        where V : struct, IVector<V> => accumulate ? V.Load(c) : V.Broadcast(0f);
}
