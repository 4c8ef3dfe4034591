using System.Numerics;
using System.Runtime.CompilerServices;

namespace AttentionKernels.Cpu;

/// <content>The product for one vector of lanes and some of the steps: V in O^T = V^T P^T of aligned keys.</content>
internal static unsafe partial class Gemm
{
    /// <summary>C[r, lane] += sum of A(r, k) * B[i, lane] over the set bits k of <paramref name="steps"/>, the i-th of them; groups of one vector of lanes have their own steps.</summary>
    /// <param name="a">A(0, 0); rows lie side by side.</param>
    /// <param name="stepStride">Floats from A(r, k) to A(r, k + 1).</param>
    /// <param name="steps">[groups] steps to take, in increasing order.</param>
    /// <param name="b">[groups] each [set bits, Pitch].</param>
    /// <param name="c">[rows, Pitch].</param>
    /// <param name="rows">Rows of C.</param>
    /// <param name="groups">Vectors of lanes.</param>
    /// <remarks>All groups take a block of rows before the next one: 16 values of 64 keys are 4 KB, a whole tile of V does not stay in the first-level cache.</remarks>
    public static void AddSelected<V>(float* a, nint stepStride, ulong* steps, float** b, float* c, int rows, int groups)
        where V : struct, IVector<V>
    {
        int r = 0;
        for (; V.BlockVectors == 4 && r + 16 <= rows; r += 16)
        {
            for (int group = 0; group < groups; group++)
            {
                if (steps[group] != 0)
                {
                    Selected16<V>(a + r, stepStride, steps[group], b[group], c + (r * Pitch) + (group * V.Count));
                }
            }
        }
        for (; r + 8 <= rows; r += 8)
        {
            for (int group = 0; group < groups; group++)
            {
                Selected8<V>(a + r, stepStride, steps[group], b[group], c + (r * Pitch) + (group * V.Count));
            }
        }
        for (; r < rows; r++)
        {
            for (int group = 0; group < groups; group++)
            {
                Selected1<V>(a + r, stepStride, steps[group], b[group], c + (r * Pitch) + (group * V.Count));
            }
        }
    }

    /// <summary>16 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Selected16<V>(float* a, nint stepStride, ulong steps, float* b, float* c)
        where V : struct, IVector<V>
    {
        V c0 = V.Load(c);
        V c1 = V.Load(c + Pitch);
        V c2 = V.Load(c + (2 * Pitch));
        V c3 = V.Load(c + (3 * Pitch));
        V c4 = V.Load(c + (4 * Pitch));
        V c5 = V.Load(c + (5 * Pitch));
        V c6 = V.Load(c + (6 * Pitch));
        V c7 = V.Load(c + (7 * Pitch));
        V c8 = V.Load(c + (8 * Pitch));
        V c9 = V.Load(c + (9 * Pitch));
        V c10 = V.Load(c + (10 * Pitch));
        V c11 = V.Load(c + (11 * Pitch));
        V c12 = V.Load(c + (12 * Pitch));
        V c13 = V.Load(c + (13 * Pitch));
        V c14 = V.Load(c + (14 * Pitch));
        V c15 = V.Load(c + (15 * Pitch));
        for (; steps != 0; steps &= steps - 1, b += Pitch)
        {
            float* x = a + (BitOperations.TrailingZeroCount(steps) * stepStride);
            V y = V.Load(b);
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
    private static void Selected8<V>(float* a, nint stepStride, ulong steps, float* b, float* c)
        where V : struct, IVector<V>
    {
        V c0 = V.Load(c);
        V c1 = V.Load(c + Pitch);
        V c2 = V.Load(c + (2 * Pitch));
        V c3 = V.Load(c + (3 * Pitch));
        V c4 = V.Load(c + (4 * Pitch));
        V c5 = V.Load(c + (5 * Pitch));
        V c6 = V.Load(c + (6 * Pitch));
        V c7 = V.Load(c + (7 * Pitch));
        for (; steps != 0; steps &= steps - 1, b += Pitch)
        {
            float* x = a + (BitOperations.TrailingZeroCount(steps) * stepStride);
            V y = V.Load(b);
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
    private static void Selected1<V>(float* a, nint stepStride, ulong steps, float* b, float* c)
        where V : struct, IVector<V>
    {
        V c0 = V.Load(c);
        for (; steps != 0; steps &= steps - 1, b += Pitch)
        {
            float* x = a + (BitOperations.TrailingZeroCount(steps) * stepStride);
            V y = V.Load(b);
            V.AccumulateBroadcast(x, y, ref c0);
        }
        V.Store(c0, c);
    }
}
