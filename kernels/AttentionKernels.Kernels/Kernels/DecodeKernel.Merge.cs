using System.Runtime.CompilerServices;
using AttentionKernels.Kernels.Device;
using ILGPU;

namespace AttentionKernels.Kernels;

/// <content>The output of a warp, and how the warps put theirs together.</content>
internal static partial class DecodeKernel
{
    /// <summary>Puts the warps' results together and writes the block's partials.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Merge<H>(
        int shared, int thread, int rows, int splits, float max0, float max1, float sum0, float sum1, Fragment[] o, long stats, long outputs)
        where H : struct, IHead
    {
        // In shared memory: [4 warps, 16 rows] maximum and sum, then [4 warps, 16 rows] outputs, 8 floats more each than there are so that no two lanes meet in a bank.
        int lane = thread & 31, warp = thread >> 5, row = lane >> 2, pitch = (H.Size + 8) * 4, parts = shared + (Warps * Rows * 8);
        if ((lane & 3) == 0)
        {
            BlockMemory.Store(shared + (((warp * Rows) + row) * 8), max0);
            BlockMemory.Store(shared + (((warp * Rows) + row) * 8) + 4, sum0);
            BlockMemory.Store(shared + (((warp * Rows) + row + 8) * 8), max1);
            BlockMemory.Store(shared + (((warp * Rows) + row + 8) * 8) + 4, sum1);
        }
        Group.Barrier();
        Scale<H>(o, Arithmetic.Exp2(max0 - Base(RowMax(shared, row))), Arithmetic.Exp2(max1 - Base(RowMax(shared, row + 8))));
        StoreFragments<H>(o, parts + (((warp * Rows) + row) * pitch) + ((lane & 3) * 8), 8 * pitch);
        Group.Barrier();

        if (thread < rows)
        {
            float max = RowMax(shared, thread), sum = 0f;
            for (int w = 0; w < Warps; w++)
            {
                int part = shared + (((w * Rows) + thread) * 8);
                sum = Arithmetic.Fma(BlockMemory.LoadFloat(part + 4), Arithmetic.Exp2(BlockMemory.LoadFloat(part) - Base(max)), sum);
            }
            GlobalMemory.StorePair(stats + ((long)thread * splits * 8), max, sum);
        }
        for (int c = thread; c < rows * (H.Size / 4); c += Threads)
        {
            int r = c / (H.Size / 4), d = c % (H.Size / 4) * 16;
            Float4 sum = Float4.LoadShared(parts + (r * pitch) + d);
            for (int w = 1; w < Warps; w++)
            {
                Float4 more = Float4.LoadShared(parts + (((w * Rows) + r) * pitch) + d);
                sum.X += more.X;
                sum.Y += more.Y;
                sum.Z += more.Z;
                sum.W += more.W;
            }
            sum.StoreGlobal(outputs + ((long)r * splits * H.Size * 4) + d);
        }
    }

    /// <summary>The largest of a row's four maxima.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float RowMax(int shared, int row)
    {
        int at = shared + (row * 8);
        return Arithmetic.Max(
            Arithmetic.Max(BlockMemory.LoadFloat(at), BlockMemory.LoadFloat(at + (Rows * 8))),
            Arithmetic.Max(BlockMemory.LoadFloat(at + (Rows * 16)), BlockMemory.LoadFloat(at + (Rows * 24))));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreFragments<H>(Fragment[] o, int target, int lower)
        where H : struct, IHead
    {
        StoreFour(o, 0, target, lower);
        StoreFour(o, 4, target, lower);
        if (H.Size > 64)
        {
            StoreTwo(o, 8, target, lower);
        }
        if (H.Size > 80)
        {
            StoreTwo(o, 10, target, lower);
        }
        if (H.Size > 96)
        {
            StoreFour(o, 12, target, lower);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreFour(Fragment[] o, int at, int target, int lower)
    {
        StoreTwo(o, at, target, lower);
        StoreTwo(o, at + 2, target, lower);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreTwo(Fragment[] o, int at, int target, int lower)
    {
        StoreOne(o[at], target + (at * 32), lower);
        StoreOne(o[at + 1], target + ((at + 1) * 32), lower);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreOne(Fragment o, int target, int lower)
    {
        BlockMemory.Store(target, o.X);
        BlockMemory.Store(target + 4, o.Y);
        BlockMemory.Store(target + lower, o.Z);
        BlockMemory.Store(target + lower + 4, o.W);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Scale<H>(Fragment[] o, float upper, float lower)
        where H : struct, IHead
    {
        ScaleFour(o, 0, upper, lower);
        ScaleFour(o, 4, upper, lower);
        if (H.Size > 64)
        {
            ScaleTwo(o, 8, upper, lower);
        }
        if (H.Size > 80)
        {
            ScaleTwo(o, 10, upper, lower);
        }
        if (H.Size > 96)
        {
            ScaleFour(o, 12, upper, lower);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ScaleFour(Fragment[] o, int at, float upper, float lower)
    {
        ScaleTwo(o, at, upper, lower);
        ScaleTwo(o, at + 2, upper, lower);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ScaleTwo(Fragment[] o, int at, float upper, float lower)
    {
        o[at] = ScaleOne(o[at], upper, lower);
        o[at + 1] = ScaleOne(o[at + 1], upper, lower);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Fragment ScaleOne(Fragment o, float upper, float lower) => new() { X = o.X * upper, Y = o.Y * upper, Z = o.Z * lower, W = o.W * lower };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Clear<H>(Fragment[] o)
        where H : struct, IHead
    {
        ClearFour(o, 0);
        ClearFour(o, 4);
        ClearFour(o, 8);
        ClearFour(o, 12);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ClearFour(Fragment[] o, int at)
    {
        o[at] = default;
        o[at + 1] = default;
        o[at + 2] = default;
        o[at + 3] = default;
    }
}
