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
/// <para>Share of the core's fused multiply-add peak (153 GFLOP/s measured in the same process, Skylake-SP, D = 64 and 128, 60 x 64 tiles):
/// 8 rows x 2 vectors with a read row by row 0.75 (9 register moves in each step, front end), 12 x 2 on packed panels of A 0.92, 8 x 3 packed 0.94,
/// 6 x 4 on rows where they lie 0.92. So 6 x 4, and no packing; rows must not lie a multiple of 4 KB apart, though: then all
/// 64 of a tile fall into one set of the first-level cache and the product with V drops to 0.43, which is why <see cref="AttentionBlock{V}"/> copies such tiles.</para>
/// </remarks>
internal static unsafe class Gemm
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
    /// <param name="lanes">Lanes to compute; rounded up to two vectors.</param>
    /// <param name="accumulate">Add to C instead of overwriting it.</param>
    public static void Multiply<V>(float* a, nint rowStride, nint stepStride, float* b, float* c, int rows, int steps, int lanes, bool accumulate)
        where V : struct, IVector<V>
    {
        Debug.Assert(lanes <= Pitch);
        int lane = 0;
        for (; V.BlockVectors == 4 && lane + (2 * V.Count) < lanes; lane += 4 * V.Count)
        {
            int r = 0;
            for (int count; (count = RowsOfBlock(rows - r)) > 1; r += count)
            {
                if (count == 6)
                {
                    Block6x4<V>(a + (r * rowStride), rowStride, stepStride, b + lane, c + (r * Pitch) + lane, steps, accumulate);
                }
                else
                {
                    Block4x4<V>(a + (r * rowStride), rowStride, stepStride, b + lane, c + (r * Pitch) + lane, steps, accumulate);
                }
            }
            for (; r < rows; r++)
            {
                Block1x2<V>(a + (r * rowStride), stepStride, b + lane, c + (r * Pitch) + lane, steps, accumulate);
                Block1x2<V>(a + (r * rowStride), stepStride, b + lane + (2 * V.Count), c + (r * Pitch) + lane + (2 * V.Count), steps, accumulate);
            }
        }
        for (; lane < lanes; lane += 2 * V.Count)
        {
            int r = 0;
            for (int count; (count = RowsOfBlock(rows - r)) > 1; r += count)
            {
                if (count == 6)
                {
                    Block6x2<V>(a + (r * rowStride), rowStride, stepStride, b + lane, c + (r * Pitch) + lane, steps, accumulate);
                }
                else
                {
                    Block4x2<V>(a + (r * rowStride), rowStride, stepStride, b + lane, c + (r * Pitch) + lane, steps, accumulate);
                }
            }
            for (; r < rows; r++)
            {
                Block1x2<V>(a + (r * rowStride), stepStride, b + lane, c + (r * Pitch) + lane, steps, accumulate);
            }
        }
    }

    /// <summary>8 rows are better two blocks of 4 than one of 6 and two of 1; fewer than 4 go one by one.</summary>
    private static int RowsOfBlock(int rows) => rows is >= 6 and not 8 ? 6 : rows >= 4 ? 4 : 1;

    /// <summary>6 rows by 4 vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block6x4<V>(float* a, nint rowStride, nint stepStride, float* b, float* c, int steps, bool accumulate)
        where V : struct, IVector<V>
    {
        V c00 = Start<V>(c, accumulate), c01 = Start<V>(c + V.Count, accumulate), c02 = Start<V>(c + (2 * V.Count), accumulate), c03 = Start<V>(c + (3 * V.Count), accumulate);
        V c10 = Start<V>(c + Pitch, accumulate), c11 = Start<V>(c + Pitch + V.Count, accumulate), c12 = Start<V>(c + Pitch + (2 * V.Count), accumulate), c13 = Start<V>(c + Pitch + (3 * V.Count), accumulate);
        V c20 = Start<V>(c + (2 * Pitch), accumulate), c21 = Start<V>(c + (2 * Pitch) + V.Count, accumulate), c22 = Start<V>(c + (2 * Pitch) + (2 * V.Count), accumulate), c23 = Start<V>(c + (2 * Pitch) + (3 * V.Count), accumulate);
        V c30 = Start<V>(c + (3 * Pitch), accumulate), c31 = Start<V>(c + (3 * Pitch) + V.Count, accumulate), c32 = Start<V>(c + (3 * Pitch) + (2 * V.Count), accumulate), c33 = Start<V>(c + (3 * Pitch) + (3 * V.Count), accumulate);
        V c40 = Start<V>(c + (4 * Pitch), accumulate), c41 = Start<V>(c + (4 * Pitch) + V.Count, accumulate), c42 = Start<V>(c + (4 * Pitch) + (2 * V.Count), accumulate), c43 = Start<V>(c + (4 * Pitch) + (3 * V.Count), accumulate);
        V c50 = Start<V>(c + (5 * Pitch), accumulate), c51 = Start<V>(c + (5 * Pitch) + V.Count, accumulate), c52 = Start<V>(c + (5 * Pitch) + (2 * V.Count), accumulate), c53 = Start<V>(c + (5 * Pitch) + (3 * V.Count), accumulate);
        float* a3 = a + (3 * rowStride);
        for (int k = 0; k < steps; k++, a += stepStride, a3 += stepStride, b += Pitch)
        {
            V b0 = V.Load(b), b1 = V.Load(b + V.Count), b2 = V.Load(b + (2 * V.Count)), b3 = V.Load(b + (3 * V.Count));
            V x = V.Broadcast(a[0]);
            V.Accumulate(x, b0, ref c00);
            V.Accumulate(x, b1, ref c01);
            V.Accumulate(x, b2, ref c02);
            V.Accumulate(x, b3, ref c03);
            x = V.Broadcast(a[rowStride]);
            V.Accumulate(x, b0, ref c10);
            V.Accumulate(x, b1, ref c11);
            V.Accumulate(x, b2, ref c12);
            V.Accumulate(x, b3, ref c13);
            x = V.Broadcast(a[2 * rowStride]);
            V.Accumulate(x, b0, ref c20);
            V.Accumulate(x, b1, ref c21);
            V.Accumulate(x, b2, ref c22);
            V.Accumulate(x, b3, ref c23);
            x = V.Broadcast(a3[0]);
            V.Accumulate(x, b0, ref c30);
            V.Accumulate(x, b1, ref c31);
            V.Accumulate(x, b2, ref c32);
            V.Accumulate(x, b3, ref c33);
            x = V.Broadcast(a3[rowStride]);
            V.Accumulate(x, b0, ref c40);
            V.Accumulate(x, b1, ref c41);
            V.Accumulate(x, b2, ref c42);
            V.Accumulate(x, b3, ref c43);
            x = V.Broadcast(a3[2 * rowStride]);
            V.Accumulate(x, b0, ref c50);
            V.Accumulate(x, b1, ref c51);
            V.Accumulate(x, b2, ref c52);
            V.Accumulate(x, b3, ref c53);
        }
        V.Store(c00, c);
        V.Store(c01, c + V.Count);
        V.Store(c02, c + (2 * V.Count));
        V.Store(c03, c + (3 * V.Count));
        V.Store(c10, c + Pitch);
        V.Store(c11, c + Pitch + V.Count);
        V.Store(c12, c + Pitch + (2 * V.Count));
        V.Store(c13, c + Pitch + (3 * V.Count));
        V.Store(c20, c + (2 * Pitch));
        V.Store(c21, c + (2 * Pitch) + V.Count);
        V.Store(c22, c + (2 * Pitch) + (2 * V.Count));
        V.Store(c23, c + (2 * Pitch) + (3 * V.Count));
        V.Store(c30, c + (3 * Pitch));
        V.Store(c31, c + (3 * Pitch) + V.Count);
        V.Store(c32, c + (3 * Pitch) + (2 * V.Count));
        V.Store(c33, c + (3 * Pitch) + (3 * V.Count));
        V.Store(c40, c + (4 * Pitch));
        V.Store(c41, c + (4 * Pitch) + V.Count);
        V.Store(c42, c + (4 * Pitch) + (2 * V.Count));
        V.Store(c43, c + (4 * Pitch) + (3 * V.Count));
        V.Store(c50, c + (5 * Pitch));
        V.Store(c51, c + (5 * Pitch) + V.Count);
        V.Store(c52, c + (5 * Pitch) + (2 * V.Count));
        V.Store(c53, c + (5 * Pitch) + (3 * V.Count));
    }

    /// <summary>4 rows by 4 vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block4x4<V>(float* a, nint rowStride, nint stepStride, float* b, float* c, int steps, bool accumulate)
        where V : struct, IVector<V>
    {
        V c00 = Start<V>(c, accumulate), c01 = Start<V>(c + V.Count, accumulate), c02 = Start<V>(c + (2 * V.Count), accumulate), c03 = Start<V>(c + (3 * V.Count), accumulate);
        V c10 = Start<V>(c + Pitch, accumulate), c11 = Start<V>(c + Pitch + V.Count, accumulate), c12 = Start<V>(c + Pitch + (2 * V.Count), accumulate), c13 = Start<V>(c + Pitch + (3 * V.Count), accumulate);
        V c20 = Start<V>(c + (2 * Pitch), accumulate), c21 = Start<V>(c + (2 * Pitch) + V.Count, accumulate), c22 = Start<V>(c + (2 * Pitch) + (2 * V.Count), accumulate), c23 = Start<V>(c + (2 * Pitch) + (3 * V.Count), accumulate);
        V c30 = Start<V>(c + (3 * Pitch), accumulate), c31 = Start<V>(c + (3 * Pitch) + V.Count, accumulate), c32 = Start<V>(c + (3 * Pitch) + (2 * V.Count), accumulate), c33 = Start<V>(c + (3 * Pitch) + (3 * V.Count), accumulate);
        for (int k = 0; k < steps; k++, a += stepStride, b += Pitch)
        {
            V b0 = V.Load(b), b1 = V.Load(b + V.Count), b2 = V.Load(b + (2 * V.Count)), b3 = V.Load(b + (3 * V.Count));
            V x = V.Broadcast(a[0]);
            V.Accumulate(x, b0, ref c00);
            V.Accumulate(x, b1, ref c01);
            V.Accumulate(x, b2, ref c02);
            V.Accumulate(x, b3, ref c03);
            x = V.Broadcast(a[rowStride]);
            V.Accumulate(x, b0, ref c10);
            V.Accumulate(x, b1, ref c11);
            V.Accumulate(x, b2, ref c12);
            V.Accumulate(x, b3, ref c13);
            x = V.Broadcast(a[2 * rowStride]);
            V.Accumulate(x, b0, ref c20);
            V.Accumulate(x, b1, ref c21);
            V.Accumulate(x, b2, ref c22);
            V.Accumulate(x, b3, ref c23);
            x = V.Broadcast(a[3 * rowStride]);
            V.Accumulate(x, b0, ref c30);
            V.Accumulate(x, b1, ref c31);
            V.Accumulate(x, b2, ref c32);
            V.Accumulate(x, b3, ref c33);
        }
        V.Store(c00, c);
        V.Store(c01, c + V.Count);
        V.Store(c02, c + (2 * V.Count));
        V.Store(c03, c + (3 * V.Count));
        V.Store(c10, c + Pitch);
        V.Store(c11, c + Pitch + V.Count);
        V.Store(c12, c + Pitch + (2 * V.Count));
        V.Store(c13, c + Pitch + (3 * V.Count));
        V.Store(c20, c + (2 * Pitch));
        V.Store(c21, c + (2 * Pitch) + V.Count);
        V.Store(c22, c + (2 * Pitch) + (2 * V.Count));
        V.Store(c23, c + (2 * Pitch) + (3 * V.Count));
        V.Store(c30, c + (3 * Pitch));
        V.Store(c31, c + (3 * Pitch) + V.Count);
        V.Store(c32, c + (3 * Pitch) + (2 * V.Count));
        V.Store(c33, c + (3 * Pitch) + (3 * V.Count));
    }

    /// <summary>6 rows by 2 vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block6x2<V>(float* a, nint rowStride, nint stepStride, float* b, float* c, int steps, bool accumulate)
        where V : struct, IVector<V>
    {
        V c00 = Start<V>(c, accumulate), c01 = Start<V>(c + V.Count, accumulate);
        V c10 = Start<V>(c + Pitch, accumulate), c11 = Start<V>(c + Pitch + V.Count, accumulate);
        V c20 = Start<V>(c + (2 * Pitch), accumulate), c21 = Start<V>(c + (2 * Pitch) + V.Count, accumulate);
        V c30 = Start<V>(c + (3 * Pitch), accumulate), c31 = Start<V>(c + (3 * Pitch) + V.Count, accumulate);
        V c40 = Start<V>(c + (4 * Pitch), accumulate), c41 = Start<V>(c + (4 * Pitch) + V.Count, accumulate);
        V c50 = Start<V>(c + (5 * Pitch), accumulate), c51 = Start<V>(c + (5 * Pitch) + V.Count, accumulate);
        float* a3 = a + (3 * rowStride);
        for (int k = 0; k < steps; k++, a += stepStride, a3 += stepStride, b += Pitch)
        {
            V b0 = V.Load(b), b1 = V.Load(b + V.Count);
            V x = V.Broadcast(a[0]);
            V.Accumulate(x, b0, ref c00);
            V.Accumulate(x, b1, ref c01);
            x = V.Broadcast(a[rowStride]);
            V.Accumulate(x, b0, ref c10);
            V.Accumulate(x, b1, ref c11);
            x = V.Broadcast(a[2 * rowStride]);
            V.Accumulate(x, b0, ref c20);
            V.Accumulate(x, b1, ref c21);
            x = V.Broadcast(a3[0]);
            V.Accumulate(x, b0, ref c30);
            V.Accumulate(x, b1, ref c31);
            x = V.Broadcast(a3[rowStride]);
            V.Accumulate(x, b0, ref c40);
            V.Accumulate(x, b1, ref c41);
            x = V.Broadcast(a3[2 * rowStride]);
            V.Accumulate(x, b0, ref c50);
            V.Accumulate(x, b1, ref c51);
        }
        V.Store(c00, c);
        V.Store(c01, c + V.Count);
        V.Store(c10, c + Pitch);
        V.Store(c11, c + Pitch + V.Count);
        V.Store(c20, c + (2 * Pitch));
        V.Store(c21, c + (2 * Pitch) + V.Count);
        V.Store(c30, c + (3 * Pitch));
        V.Store(c31, c + (3 * Pitch) + V.Count);
        V.Store(c40, c + (4 * Pitch));
        V.Store(c41, c + (4 * Pitch) + V.Count);
        V.Store(c50, c + (5 * Pitch));
        V.Store(c51, c + (5 * Pitch) + V.Count);
    }

    /// <summary>4 rows by 2 vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block4x2<V>(float* a, nint rowStride, nint stepStride, float* b, float* c, int steps, bool accumulate)
        where V : struct, IVector<V>
    {
        V c00 = Start<V>(c, accumulate), c01 = Start<V>(c + V.Count, accumulate);
        V c10 = Start<V>(c + Pitch, accumulate), c11 = Start<V>(c + Pitch + V.Count, accumulate);
        V c20 = Start<V>(c + (2 * Pitch), accumulate), c21 = Start<V>(c + (2 * Pitch) + V.Count, accumulate);
        V c30 = Start<V>(c + (3 * Pitch), accumulate), c31 = Start<V>(c + (3 * Pitch) + V.Count, accumulate);
        for (int k = 0; k < steps; k++, a += stepStride, b += Pitch)
        {
            V b0 = V.Load(b), b1 = V.Load(b + V.Count);
            V x = V.Broadcast(a[0]);
            V.Accumulate(x, b0, ref c00);
            V.Accumulate(x, b1, ref c01);
            x = V.Broadcast(a[rowStride]);
            V.Accumulate(x, b0, ref c10);
            V.Accumulate(x, b1, ref c11);
            x = V.Broadcast(a[2 * rowStride]);
            V.Accumulate(x, b0, ref c20);
            V.Accumulate(x, b1, ref c21);
            x = V.Broadcast(a[3 * rowStride]);
            V.Accumulate(x, b0, ref c30);
            V.Accumulate(x, b1, ref c31);
        }
        V.Store(c00, c);
        V.Store(c01, c + V.Count);
        V.Store(c10, c + Pitch);
        V.Store(c11, c + Pitch + V.Count);
        V.Store(c20, c + (2 * Pitch));
        V.Store(c21, c + (2 * Pitch) + V.Count);
        V.Store(c30, c + (3 * Pitch));
        V.Store(c31, c + (3 * Pitch) + V.Count);
    }

    /// <summary>1 row by 2 vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block1x2<V>(float* a, nint stepStride, float* b, float* c, int steps, bool accumulate)
        where V : struct, IVector<V>
    {
        V c00 = Start<V>(c, accumulate), c01 = Start<V>(c + V.Count, accumulate);
        for (int k = 0; k < steps; k++, a += stepStride, b += Pitch)
        {
            V x = V.Broadcast(a[0]);
            V.Accumulate(x, V.Load(b), ref c00);
            V.Accumulate(x, V.Load(b + V.Count), ref c01);
        }
        V.Store(c00, c);
        V.Store(c01, c + V.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Start<V>(float* c, bool accumulate)
        where V : struct, IVector<V> => accumulate ? V.Load(c) : V.Broadcast(0f);
}
