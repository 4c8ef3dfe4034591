using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime.Cuda;

namespace AttentionKernels.Kernels.Device;

/// <summary>Exchange between the lanes of a warp. All 32 must take part: never under divergence.</summary>
internal static class Lanes
{
    /// <summary>x of the lane whose number differs by the bits of <paramref name="mask"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Xor(float x, int mask)
    {
        CudaAsm.Emit("shfl.sync.bfly.b32 %0, %1, %2, 31, -1;", out float y, x, mask);
        return y;
    }

    /// <summary>As <see cref="Xor(float, int)"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Xor(int x, int mask)
    {
        CudaAsm.Emit("shfl.sync.bfly.b32 %0, %1, %2, 31, -1;", out int y, x, mask);
        return y;
    }

    /// <summary>The largest of the four lanes that hold a row of a <see cref="Fragment"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float QuadMax(float x)
    {
        x = Arithmetic.Max(x, Xor(x, 1));
        return Arithmetic.Max(x, Xor(x, 2));
    }

    /// <summary>The sum over those four lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float QuadSum(float x)
    {
        x += Xor(x, 1);
        return x + Xor(x, 2);
    }

    /// <summary>The sum over the warp, the same bits in every lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(float x)
    {
        x = QuadSum(x);
        x += Xor(x, 4);
        x += Xor(x, 8);
        return x + Xor(x, 16);
    }

    /// <summary>The largest of the warp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(float x)
    {
        x = QuadMax(x);
        x = Arithmetic.Max(x, Xor(x, 4));
        x = Arithmetic.Max(x, Xor(x, 8));
        return Arithmetic.Max(x, Xor(x, 16));
    }

    /// <summary>x of a lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int From(int x, int lane)
    {
        CudaAsm.Emit("shfl.sync.idx.b32 %0, %1, %2, 31, -1;", out int y, x, lane);
        return y;
    }

    /// <summary>A bit for each lane in which the condition holds; the same in all of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Ballot(bool condition)
    {
        CudaAsm.Emit("vote.sync.ballot.b32 %0, %1, -1;", out int lanes, condition);
        return lanes;
    }

    /// <summary>Number of the lowest bit that is set; of 0 it is 32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int LowestBit(int x)
    {
        CudaAsm.Emit("popc.b32 %0, %1;", out int count, ~x & (x - 1));
        return count;
    }

    /// <summary>Number of the highest bit that is set, of a number above 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int HighestBit(int x)
    {
        CudaAsm.Emit("bfind.u32 %0, %1;", out int bit, x);
        return bit;
    }

    /// <summary>Whether the condition holds in any lane; the same in all of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Any(bool condition) => Ballot(condition) != 0;

    /// <summary>Waits for all lanes; shared memory that they wrote before is visible after.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Synchronise() => CudaAsm.Emit("bar.warp.sync -1;");
}
