using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace AttentionKernels.Cpu;

/// <summary>
/// C[r, lane] (+)= sum_k A(r, k) * B[k, lane]: the one matrix product of the CPU engine, register-blocked.
/// </summary>
/// <remarks>
/// Lanes are query rows, so neither K nor V is packed or transposed: A(r, k) = a[r * rowStride + k * stepStride] is
/// K row-major in S^T = K Q^T and V column-wise in O^T = V^T P^T, read by broadcast; B and C have a fixed pitch of <see cref="Pitch"/> lanes.
/// Each C element is summed over k in increasing order by fused multiply-adds, whatever block it falls into: results do not depend on
/// which other rows share a call.
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
        for (int lane = 0; lane < lanes; lane += 2 * V.Count)
        {
            int r = 0;
            if (V.BlockRows == 8)
            {
                for (; r + 8 <= rows; r += 8)
                {
                    Block8<V>(a + (r * rowStride), rowStride, stepStride, b + lane, c + (r * Pitch) + lane, steps, accumulate);
                }
            }
            for (; r + 4 <= rows; r += 4)
            {
                Block4<V>(a + (r * rowStride), rowStride, stepStride, b + lane, c + (r * Pitch) + lane, steps, accumulate);
            }
            for (; r < rows; r++)
            {
                Block1<V>(a + (r * rowStride), stepStride, b + lane, c + (r * Pitch) + lane, steps, accumulate);
            }
        }
    }

    /// <summary>8 rows by 2 vectors.</summary>
    private static void Block8<V>(float* a, nint rowStride, nint stepStride, float* b, float* c, int steps, bool accumulate)
        where V : struct, IVector<V>
    {
        float* a0 = a, a1 = a0 + rowStride, a2 = a1 + rowStride, a3 = a2 + rowStride, a4 = a3 + rowStride, a5 = a4 + rowStride, a6 = a5 + rowStride, a7 = a6 + rowStride;
        V c00 = Start<V>(c, accumulate), c01 = Start<V>(c + V.Count, accumulate);
        V c10 = Start<V>(c + (1 * Pitch), accumulate), c11 = Start<V>(c + (1 * Pitch) + V.Count, accumulate);
        V c20 = Start<V>(c + (2 * Pitch), accumulate), c21 = Start<V>(c + (2 * Pitch) + V.Count, accumulate);
        V c30 = Start<V>(c + (3 * Pitch), accumulate), c31 = Start<V>(c + (3 * Pitch) + V.Count, accumulate);
        V c40 = Start<V>(c + (4 * Pitch), accumulate), c41 = Start<V>(c + (4 * Pitch) + V.Count, accumulate);
        V c50 = Start<V>(c + (5 * Pitch), accumulate), c51 = Start<V>(c + (5 * Pitch) + V.Count, accumulate);
        V c60 = Start<V>(c + (6 * Pitch), accumulate), c61 = Start<V>(c + (6 * Pitch) + V.Count, accumulate);
        V c70 = Start<V>(c + (7 * Pitch), accumulate), c71 = Start<V>(c + (7 * Pitch) + V.Count, accumulate);
        nint at = 0;
        for (int k = 0; k < steps; k++, at += stepStride, b += Pitch)
        {
            V b0 = V.Load(b), b1 = V.Load(b + V.Count);
            V x0 = V.Broadcast(a0[at]);
            c00 = V.MultiplyAdd(x0, b0, c00);
            c01 = V.MultiplyAdd(x0, b1, c01);
            V x1 = V.Broadcast(a1[at]);
            c10 = V.MultiplyAdd(x1, b0, c10);
            c11 = V.MultiplyAdd(x1, b1, c11);
            V x2 = V.Broadcast(a2[at]);
            c20 = V.MultiplyAdd(x2, b0, c20);
            c21 = V.MultiplyAdd(x2, b1, c21);
            V x3 = V.Broadcast(a3[at]);
            c30 = V.MultiplyAdd(x3, b0, c30);
            c31 = V.MultiplyAdd(x3, b1, c31);
            V x4 = V.Broadcast(a4[at]);
            c40 = V.MultiplyAdd(x4, b0, c40);
            c41 = V.MultiplyAdd(x4, b1, c41);
            V x5 = V.Broadcast(a5[at]);
            c50 = V.MultiplyAdd(x5, b0, c50);
            c51 = V.MultiplyAdd(x5, b1, c51);
            V x6 = V.Broadcast(a6[at]);
            c60 = V.MultiplyAdd(x6, b0, c60);
            c61 = V.MultiplyAdd(x6, b1, c61);
            V x7 = V.Broadcast(a7[at]);
            c70 = V.MultiplyAdd(x7, b0, c70);
            c71 = V.MultiplyAdd(x7, b1, c71);
        }
        V.Store(c00, c);
        V.Store(c01, c + V.Count);
        V.Store(c10, c + (1 * Pitch));
        V.Store(c11, c + (1 * Pitch) + V.Count);
        V.Store(c20, c + (2 * Pitch));
        V.Store(c21, c + (2 * Pitch) + V.Count);
        V.Store(c30, c + (3 * Pitch));
        V.Store(c31, c + (3 * Pitch) + V.Count);
        V.Store(c40, c + (4 * Pitch));
        V.Store(c41, c + (4 * Pitch) + V.Count);
        V.Store(c50, c + (5 * Pitch));
        V.Store(c51, c + (5 * Pitch) + V.Count);
        V.Store(c60, c + (6 * Pitch));
        V.Store(c61, c + (6 * Pitch) + V.Count);
        V.Store(c70, c + (7 * Pitch));
        V.Store(c71, c + (7 * Pitch) + V.Count);
    }

    /// <summary>4 rows by 2 vectors.</summary>
    private static void Block4<V>(float* a, nint rowStride, nint stepStride, float* b, float* c, int steps, bool accumulate)
        where V : struct, IVector<V>
    {
        float* a0 = a, a1 = a0 + rowStride, a2 = a1 + rowStride, a3 = a2 + rowStride;
        V c00 = Start<V>(c, accumulate), c01 = Start<V>(c + V.Count, accumulate);
        V c10 = Start<V>(c + (1 * Pitch), accumulate), c11 = Start<V>(c + (1 * Pitch) + V.Count, accumulate);
        V c20 = Start<V>(c + (2 * Pitch), accumulate), c21 = Start<V>(c + (2 * Pitch) + V.Count, accumulate);
        V c30 = Start<V>(c + (3 * Pitch), accumulate), c31 = Start<V>(c + (3 * Pitch) + V.Count, accumulate);
        nint at = 0;
        for (int k = 0; k < steps; k++, at += stepStride, b += Pitch)
        {
            V b0 = V.Load(b), b1 = V.Load(b + V.Count);
            V x0 = V.Broadcast(a0[at]);
            c00 = V.MultiplyAdd(x0, b0, c00);
            c01 = V.MultiplyAdd(x0, b1, c01);
            V x1 = V.Broadcast(a1[at]);
            c10 = V.MultiplyAdd(x1, b0, c10);
            c11 = V.MultiplyAdd(x1, b1, c11);
            V x2 = V.Broadcast(a2[at]);
            c20 = V.MultiplyAdd(x2, b0, c20);
            c21 = V.MultiplyAdd(x2, b1, c21);
            V x3 = V.Broadcast(a3[at]);
            c30 = V.MultiplyAdd(x3, b0, c30);
            c31 = V.MultiplyAdd(x3, b1, c31);
        }
        V.Store(c00, c);
        V.Store(c01, c + V.Count);
        V.Store(c10, c + (1 * Pitch));
        V.Store(c11, c + (1 * Pitch) + V.Count);
        V.Store(c20, c + (2 * Pitch));
        V.Store(c21, c + (2 * Pitch) + V.Count);
        V.Store(c30, c + (3 * Pitch));
        V.Store(c31, c + (3 * Pitch) + V.Count);
    }

    /// <summary>1 row by 2 vectors.</summary>
    private static void Block1<V>(float* a, nint stepStride, float* b, float* c, int steps, bool accumulate)
        where V : struct, IVector<V>
    {
        V c00 = Start<V>(c, accumulate), c01 = Start<V>(c + V.Count, accumulate);
        nint at = 0;
        for (int k = 0; k < steps; k++, at += stepStride, b += Pitch)
        {
            V b0 = V.Load(b), b1 = V.Load(b + V.Count);
            V x0 = V.Broadcast(a[at]);
            c00 = V.MultiplyAdd(x0, b0, c00);
            c01 = V.MultiplyAdd(x0, b1, c01);
        }
        V.Store(c00, c);
        V.Store(c01, c + V.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Start<V>(float* c, bool accumulate)
        where V : struct, IVector<V> => accumulate ? V.Load(c) : V.Broadcast(0f);
}
