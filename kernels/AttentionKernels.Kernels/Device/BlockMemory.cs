using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime.Cuda;

namespace AttentionKernels.Kernels.Device;

/// <summary>The block's dynamic shared memory, at addresses in bytes.</summary>
internal static class BlockMemory
{
    /// <summary>Declares the memory, whose size the launch gives, and returns its address, 16-byte aligned.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Start()
    {
        _ = SharedMemory.GetDynamic<Int4>();
        CudaAsm.Emit("mov.u32 %0, __dyn_shared_alloca;", out int start);
        return start;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float LoadFloat(int address)
    {
        CudaAsm.Emit("ld.shared.f32 %0, [%1];", out float x, address);
        return x;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int LoadInt(int address)
    {
        CudaAsm.Emit("ld.shared.b32 %0, [%1];", out int x, address);
        return x;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long LoadLong(int address)
    {
        CudaAsm.Emit("ld.shared.b64 %0, [%1];", out long x, address);
        return x;
    }

    /// <summary>16 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int4 LoadVector(int address)
    {
        Output<int> x = default, y = default, z = default, w = default;
        Input<int> from = address;
        CudaAsm.EmitRef("ld.shared.v4.b32 {%0,%1,%2,%3}, [%4];", ref x, ref y, ref z, ref w, ref from);
        return new Int4 { X = x.Value, Y = y.Value, Z = z.Value, W = w.Value };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(int address, float x) => CudaAsm.Emit("st.shared.f32 [%0], %1;", address, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(int address, int x) => CudaAsm.Emit("st.shared.b32 [%0], %1;", address, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(int address, long x) => CudaAsm.Emit("st.shared.b64 [%0], %1;", address, x);

    /// <summary>16 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreVector(int address, Int4 v)
    {
        Input<int> to = address, x = v.X, y = v.Y, z = v.Z, w = v.W;
        CudaAsm.EmitRef("st.shared.v4.b32 [%0], {%1,%2,%3,%4};", ref to, ref x, ref y, ref z, ref w);
    }
}
