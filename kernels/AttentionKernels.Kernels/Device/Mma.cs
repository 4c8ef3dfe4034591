using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime.Cuda;

namespace AttentionKernels.Kernels.Device;

/// <summary>Tensor cores: mma.sync.m16n8k16 with 16-bit operands and float32 accumulators.</summary>
/// <remarks>
/// With g = lane / 4 and t = lane % 4, two elements in a register (the lower index in the low half):
/// <code>
/// A 16 x 16 [m][k]   X: row g,     k = 2t, 2t+1     Y: row g + 8, the same     Z: row g, k = 2t+8, 2t+9     W: row g + 8, the same
/// B 16 x 8  [k][n]   b0: k = 2t, 2t+1; n = g        b1: k = 2t+8, 2t+9; n = g
/// C 16 x 8           <see cref="Fragment"/>
/// </code>
/// So two neighbouring C, packed, are one A: this is how probabilities become an operand without leaving their lane.
/// </remarks>
internal static class Mma
{
    /// <summary>c += a * b.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add<T>(ref Fragment c, Int4 a, int b0, int b1)
        where T : struct, IElement
    {
        // Outputs of their own, not in-out operands: every register is then written once, which lets the compiler's text pass drop all copies.
        Output<float> x = default, y = default, z = default, w = default;
        Input<float> c0 = c.X, c1 = c.Y, c2 = c.Z, c3 = c.W;
        Input<int> a0 = a.X, a1 = a.Y, a2 = a.Z, a3 = a.W, k0 = b0, k1 = b1;
        if (T.IsBFloat16)
        {
            CudaAsm.EmitRef(
                "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};",
                ref x, ref y, ref z, ref w, ref a0, ref a1, ref a2, ref a3, ref k0, ref k1, ref c0, ref c1, ref c2, ref c3);
        }
        else
        {
            CudaAsm.EmitRef(
                "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};",
                ref x, ref y, ref z, ref w, ref a0, ref a1, ref a2, ref a3, ref k0, ref k1, ref c0, ref c1, ref c2, ref c3);
        }
        c = new Fragment { X = x.Value, Y = y.Value, Z = z.Value, W = w.Value };
    }

    /// <summary>
    /// Four 8 x 8 matrices of 16-bit elements from shared memory. Lane L gives the address of row L % 8 of matrix L / 8 (16 bytes, 16-byte aligned);
    /// register i of lane (g, t) receives row g, elements 2t and 2t + 1, of matrix i.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int4 Load(int address)
    {
        Output<int> x = default, y = default, z = default, w = default;
        Input<int> from = address;
        CudaAsm.EmitRef("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];", ref x, ref y, ref z, ref w, ref from);
        return new Int4 { X = x.Value, Y = y.Value, Z = z.Value, W = w.Value };
    }

    /// <summary>As <see cref="Load"/>, each matrix transposed: register i of lane (g, t) receives column g, rows 2t and 2t + 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int4 LoadTransposed(int address)
    {
        Output<int> x = default, y = default, z = default, w = default;
        Input<int> from = address;
        CudaAsm.EmitRef("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];", ref x, ref y, ref z, ref w, ref from);
        return new Int4 { X = x.Value, Y = y.Value, Z = z.Value, W = w.Value };
    }
}
