using System.Runtime.CompilerServices;
using AttentionKernels.Kernels.Device;

namespace AttentionKernels.Kernels;

/// <content>The two products of a warp on 16 keys, unrolled.</content>
internal static partial class DecodeKernel
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LoadQuery<H>(Int4[] q, int address)
        where H : struct, IHead
    {
        q[0] = Mma.Load(address);
        q[1] = Mma.Load(address + 32);
        q[2] = Mma.Load(address + 64);
        q[3] = Mma.Load(address + 96);
        if (H.Size > 64)
        {
            q[4] = Mma.Load(address + 128);
        }
        if (H.Size > 80)
        {
            q[5] = Mma.Load(address + 160);
        }
        if (H.Size > 96)
        {
            q[6] = Mma.Load(address + 192);
            q[7] = Mma.Load(address + 224);
        }
    }

    /// <summary>(s0, s1) = q k^T for 16 keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MultiplyKeys<T, H>(ref Fragment s0, ref Fragment s1, Int4[] q, int address)
        where T : struct, IElement
        where H : struct, IHead
    {
        KeyStep<T>(ref s0, ref s1, q[0], address);
        KeyStep<T>(ref s0, ref s1, q[1], address + 32);
        KeyStep<T>(ref s0, ref s1, q[2], address + 64);
        KeyStep<T>(ref s0, ref s1, q[3], address + 96);
        if (H.Size > 64)
        {
            KeyStep<T>(ref s0, ref s1, q[4], address + 128);
        }
        if (H.Size > 80)
        {
            KeyStep<T>(ref s0, ref s1, q[5], address + 160);
        }
        if (H.Size > 96)
        {
            KeyStep<T>(ref s0, ref s1, q[6], address + 192);
            KeyStep<T>(ref s0, ref s1, q[7], address + 224);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void KeyStep<T>(ref Fragment s0, ref Fragment s1, Int4 q, int address)
        where T : struct, IElement
    {
        Int4 k = Mma.Load(address);
        Mma.Add<T>(ref s0, q, k.X, k.Y);
        Mma.Add<T>(ref s1, q, k.Z, k.W);
    }

    /// <summary>o += p v for 16 keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MultiplyValues<T, H>(Fragment[] o, Int4 p, int address)
        where T : struct, IElement
        where H : struct, IHead
    {
        ValueStep<T>(o, 0, p, address);
        ValueStep<T>(o, 1, p, address);
        ValueStep<T>(o, 2, p, address);
        ValueStep<T>(o, 3, p, address);
        if (H.Size > 64)
        {
            ValueStep<T>(o, 4, p, address);
        }
        if (H.Size > 80)
        {
            ValueStep<T>(o, 5, p, address);
        }
        if (H.Size > 96)
        {
            ValueStep<T>(o, 6, p, address);
            ValueStep<T>(o, 7, p, address);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ValueStep<T>(Fragment[] o, int step, Int4 p, int address)
        where T : struct, IElement
    {
        Int4 v = Mma.LoadTransposed(address + (step * 32));
        Mma.Add<T>(ref o[2 * step], p, v.X, v.Y);
        Mma.Add<T>(ref o[(2 * step) + 1], p, v.Z, v.W);
    }
}
