using System.Numerics;
using System.Runtime.CompilerServices;

namespace AttentionKernels.Cpu;

/// <content>The product for one vector of lanes and some of the steps: V in O^T = V^T P^T of aligned keys.</content>
internal static unsafe partial class Gemm
{
    /// <summary>C[r, lane] += sum of A(r, k) * B[k, lane] over the set bits k of a group's steps, in increasing order; groups of one vector of lanes have their own.</summary>
    /// <param name="a">A(0, 0); rows lie side by side.</param>
    /// <param name="stepStride">Floats from A(r, k) to A(r, k + 1).</param>
    /// <param name="steps">[groups] steps to take.</param>
    /// <param name="b">[steps, Pitch].</param>
    /// <param name="c">[rows, Pitch].</param>
    /// <param name="rows">Rows of C.</param>
    /// <param name="groups">Vectors of lanes.</param>
    /// <param name="started">Bit for each group whose C holds sums; of the others, C is written where there are steps.</param>
    /// <remarks>All groups take a block of rows before the next one: 16 values of 64 keys are 4 KB, a whole tile of V does not stay in the first-level cache.</remarks>
    public static void AddSelected<V>(float* a, nint stepStride, ulong* steps, float* b, float* c, int rows, int groups, ulong started = ulong.MaxValue)
        where V : struct, IVector<V>
    {
        int r = 0;
        for (; V.BlockVectors == 4 && r + 16 <= rows; r += 16)
        {
            for (int group = 0; group < groups; group++)
            {
                if (steps[group] != 0)
                {
                    int lane = group * V.Count;
                    Selected16<V>(a + r, stepStride, steps[group], b + lane, c + (r * Pitch) + lane, ((started >> group) & 1) != 0);
                }
            }
        }
        for (; r + 8 <= rows; r += 8)
        {
            for (int group = 0; group < groups; group++)
            {
                if (steps[group] != 0)
                {
                    int lane = group * V.Count;
                    Selected8<V>(a + r, stepStride, steps[group], b + lane, c + (r * Pitch) + lane, ((started >> group) & 1) != 0);
                }
            }
        }
        for (; r < rows; r++)
        {
            for (int group = 0; group < groups; group++)
            {
                if (steps[group] != 0)
                {
                    int lane = group * V.Count;
                    Selected1<V>(a + r, stepStride, steps[group], b + lane, c + (r * Pitch) + lane, ((started >> group) & 1) != 0);
                }
            }
        }
    }

    /// <summary>16 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Selected16<V>(float* a, nint stepStride, ulong steps, float* b, float* c, bool started)
        where V : struct, IVector<V>
    {
        V zero = V.Broadcast(0f);
        // Sums that nobody has started are read from one vector of zeros.
        float* from = started ? c : (float*)Unsafe.AsPointer(ref zero);
        nint pitch = started ? Pitch : 0;
        V c0 = V.Load(from);
        V c1 = V.Load(from + pitch);
        V c2 = V.Load(from + (2 * pitch));
        V c3 = V.Load(from + (3 * pitch));
        V c4 = V.Load(from + (4 * pitch));
        V c5 = V.Load(from + (5 * pitch));
        V c6 = V.Load(from + (6 * pitch));
        V c7 = V.Load(from + (7 * pitch));
        V c8 = V.Load(from + (8 * pitch));
        V c9 = V.Load(from + (9 * pitch));
        V c10 = V.Load(from + (10 * pitch));
        V c11 = V.Load(from + (11 * pitch));
        V c12 = V.Load(from + (12 * pitch));
        V c13 = V.Load(from + (13 * pitch));
        V c14 = V.Load(from + (14 * pitch));
        V c15 = V.Load(from + (15 * pitch));
        for (; steps != 0; steps &= steps - 1)
        {
            int k = BitOperations.TrailingZeroCount(steps);
            float* x = a + (k * stepStride);
            V y = V.Load(b + (k * Pitch));
            V.AccumulateBroadcast(x, y, ref c0);
            V.AccumulateBroadcast(x + 1, y, ref c1);
            V.AccumulateBroadcast(x + 2, y, ref c2);
            V.AccumulateBroadcast(x + 3, y, ref c3);
            V.AccumulateBroadcast(x + 4, y, ref c4);
            V.AccumulateBroadcast(x + 5, y, ref c5);
            V.AccumulateBroadcast(x + 6, y, ref c6);
            V.AccumulateBroadcast(x + 7, y, ref c7);
            V.AccumulateBroadcast(x + 8, y, ref c8);
            V.AccumulateBroadcast(x + 9, y, ref c9);
            V.AccumulateBroadcast(x + 10, y, ref c10);
            V.AccumulateBroadcast(x + 11, y, ref c11);
            V.AccumulateBroadcast(x + 12, y, ref c12);
            V.AccumulateBroadcast(x + 13, y, ref c13);
            V.AccumulateBroadcast(x + 14, y, ref c14);
            V.AccumulateBroadcast(x + 15, y, ref c15);
        }
        V.Store(c0, c);
        V.Store(c1, c + Pitch);
        V.Store(c2, c + (2 * Pitch));
        V.Store(c3, c + (3 * Pitch));
        V.Store(c4, c + (4 * Pitch));
        V.Store(c5, c + (5 * Pitch));
        V.Store(c6, c + (6 * Pitch));
        V.Store(c7, c + (7 * Pitch));
        V.Store(c8, c + (8 * Pitch));
        V.Store(c9, c + (9 * Pitch));
        V.Store(c10, c + (10 * Pitch));
        V.Store(c11, c + (11 * Pitch));
        V.Store(c12, c + (12 * Pitch));
        V.Store(c13, c + (13 * Pitch));
        V.Store(c14, c + (14 * Pitch));
        V.Store(c15, c + (15 * Pitch));
    }

    /// <summary>8 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Selected8<V>(float* a, nint stepStride, ulong steps, float* b, float* c, bool started)
        where V : struct, IVector<V>
    {
        V zero = V.Broadcast(0f);
        // Sums that nobody has started are read from one vector of zeros.
        float* from = started ? c : (float*)Unsafe.AsPointer(ref zero);
        nint pitch = started ? Pitch : 0;
        V c0 = V.Load(from);
        V c1 = V.Load(from + pitch);
        V c2 = V.Load(from + (2 * pitch));
        V c3 = V.Load(from + (3 * pitch));
        V c4 = V.Load(from + (4 * pitch));
        V c5 = V.Load(from + (5 * pitch));
        V c6 = V.Load(from + (6 * pitch));
        V c7 = V.Load(from + (7 * pitch));
        for (; steps != 0; steps &= steps - 1)
        {
            int k = BitOperations.TrailingZeroCount(steps);
            float* x = a + (k * stepStride);
            V y = V.Load(b + (k * Pitch));
            V.AccumulateBroadcast(x, y, ref c0);
            V.AccumulateBroadcast(x + 1, y, ref c1);
            V.AccumulateBroadcast(x + 2, y, ref c2);
            V.AccumulateBroadcast(x + 3, y, ref c3);
            V.AccumulateBroadcast(x + 4, y, ref c4);
            V.AccumulateBroadcast(x + 5, y, ref c5);
            V.AccumulateBroadcast(x + 6, y, ref c6);
            V.AccumulateBroadcast(x + 7, y, ref c7);
        }
        V.Store(c0, c);
        V.Store(c1, c + Pitch);
        V.Store(c2, c + (2 * Pitch));
        V.Store(c3, c + (3 * Pitch));
        V.Store(c4, c + (4 * Pitch));
        V.Store(c5, c + (5 * Pitch));
        V.Store(c6, c + (6 * Pitch));
        V.Store(c7, c + (7 * Pitch));
    }

    /// <summary>1 row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Selected1<V>(float* a, nint stepStride, ulong steps, float* b, float* c, bool started)
        where V : struct, IVector<V>
    {
        V zero = V.Broadcast(0f);
        V c0 = started ? V.Load(c) : zero;
        for (; steps != 0; steps &= steps - 1)
        {
            int k = BitOperations.TrailingZeroCount(steps);
            float* x = a + (k * stepStride);
            V y = V.Load(b + (k * Pitch));
            V.AccumulateBroadcast(x, y, ref c0);
        }
        V.Store(c0, c);
    }
}
