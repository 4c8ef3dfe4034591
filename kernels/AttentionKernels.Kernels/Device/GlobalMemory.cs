using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime.Cuda;

namespace AttentionKernels.Kernels.Device;

/// <summary>
/// Global memory at addresses in bytes, aligned to what is read or written. Loads are for memory that the kernel does not write (ld.global.nc).
/// </summary>
internal static class GlobalMemory
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float LoadFloat(long address)
    {
        CudaAsm.Emit("ld.global.nc.f32 %0, [%1];", out float x, address);
        return x;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int LoadInt(long address)
    {
        CudaAsm.Emit("ld.global.nc.b32 %0, [%1];", out int x, address);
        return x;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long LoadLong(long address)
    {
        CudaAsm.Emit("ld.global.nc.b64 %0, [%1];", out long x, address);
        return x;
    }

    /// <summary>16 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int4 LoadVector(long address)
    {
        Output<int> x = default, y = default, z = default, w = default;
        Input<long> from = address;
        CudaAsm.EmitRef("ld.global.nc.v4.b32 {%0,%1,%2,%3}, [%4];", ref x, ref y, ref z, ref w, ref from);
        return new Int4 { X = x.Value, Y = y.Value, Z = z.Value, W = w.Value };
    }

    /// <summary>One element of T as float32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float LoadElement<T>(long address)
        where T : struct, IElement
    {
        if (T.Bytes == 4)
        {
            return LoadFloat(address);
        }
        CudaAsm.Emit("ld.global.nc.b16 %0, [%1];", out ushort bits, address);
        return T.IsBFloat16 ? Interop.IntAsFloat((uint)bits << 16) : Arithmetic.FromHalf(bits);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(long address, float x) => CudaAsm.Emit("st.global.f32 [%0], %1;", address, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(long address, int x) => CudaAsm.Emit("st.global.b32 [%0], %1;", address, x);

    /// <summary>8 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StorePair(long address, float x, float y) => CudaAsm.Emit("st.global.v2.f32 [%0], {%1,%2};", address, x, y);

    /// <summary>16 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreVector(long address, Int4 v)
    {
        Input<long> to = address;
        Input<int> x = v.X, y = v.Y, z = v.Z, w = v.W;
        CudaAsm.EmitRef("st.global.v4.b32 [%0], {%1,%2,%3,%4};", ref to, ref x, ref y, ref z, ref w);
    }

    /// <summary>x rounded to one element of T.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreElement<T>(long address, float x)
        where T : struct, IElement
    {
        if (T.Bytes == 4)
        {
            Store(address, x);
            return;
        }
        ushort bits;
        if (T.IsBFloat16)
        {
            CudaAsm.Emit("cvt.rn.bf16.f32 %0, %1;", out bits, x);
        }
        else
        {
            CudaAsm.Emit("cvt.rn.f16.f32 %0, %1;", out bits, x);
        }
        CudaAsm.Emit("st.global.b16 [%0], %1;", address, bits);
    }
}
