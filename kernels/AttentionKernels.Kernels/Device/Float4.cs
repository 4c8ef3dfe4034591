using System.Runtime.CompilerServices;
using ILGPU.Runtime.Cuda;

namespace AttentionKernels.Kernels.Device;

/// <summary>Four float32: 16 bytes of memory, 16-byte aligned.</summary>
internal struct Float4
{
    public float X, Y, Z, W;

    /// <summary>From memory that the kernel does not write.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 LoadGlobal(long address)
    {
        Output<float> x = default, y = default, z = default, w = default;
        Input<long> from = address;
        CudaAsm.EmitRef("ld.global.nc.v4.f32 {%0,%1,%2,%3}, [%4];", ref x, ref y, ref z, ref w, ref from);
        return new Float4 { X = x.Value, Y = y.Value, Z = z.Value, W = w.Value };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void StoreGlobal(long address)
    {
        Input<long> to = address;
        Input<float> x = X, y = Y, z = Z, w = W;
        CudaAsm.EmitRef("st.global.v4.f32 [%0], {%1,%2,%3,%4};", ref to, ref x, ref y, ref z, ref w);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 LoadShared(int address)
    {
        Output<float> x = default, y = default, z = default, w = default;
        Input<int> from = address;
        CudaAsm.EmitRef("ld.shared.v4.f32 {%0,%1,%2,%3}, [%4];", ref x, ref y, ref z, ref w, ref from);
        return new Float4 { X = x.Value, Y = y.Value, Z = z.Value, W = w.Value };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void StoreShared(int address)
    {
        Input<int> to = address;
        Input<float> x = X, y = Y, z = Z, w = W;
        CudaAsm.EmitRef("st.shared.v4.f32 [%0], {%1,%2,%3,%4};", ref to, ref x, ref y, ref z, ref w);
    }
}
