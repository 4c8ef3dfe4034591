using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime.Cuda;

namespace AttentionKernels.Kernels.Device;

/// <summary>Float32 instructions that ILGPU does not emit by itself, and conversions of the 16-bit types.</summary>
internal static class Arithmetic
{
    public const float Log2E = 1.44269504f;

    /// <summary>2^x, within 2 units in the last place; 2^-inf is 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Exp2(float x)
    {
        CudaAsm.Emit("ex2.approx.ftz.f32 %0, %1;", out float y, x);
        return y;
    }

    /// <summary>1 / x, within 1 unit in the last place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Reciprocal(float x)
    {
        CudaAsm.Emit("rcp.approx.ftz.f32 %0, %1;", out float y, x);
        return y;
    }

    /// <summary>x / y, rounded once. Slow; x / y in C# is within 2 units in the last place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Divide(float x, float y)
    {
        CudaAsm.Emit("div.rn.f32 %0, %1, %2;", out float quotient, x, y);
        return quotient;
    }

    /// <summary>x * y + z, rounded once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Fma(float x, float y, float z)
    {
        CudaAsm.Emit("fma.rn.f32 %0, %1, %2, %3;", out float r, x, y, z);
        return r;
    }

    /// <summary>The larger; of a number and NaN the number.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(float x, float y)
    {
        CudaAsm.Emit("max.f32 %0, %1, %2;", out float r, x, y);
        return r;
    }

    /// <summary>x if the condition holds, else y, without a branch.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Select(bool condition, float x, float y)
    {
        CudaAsm.Emit("selp.f32 %0, %1, %2, %3;", out float r, x, y, condition);
        return r;
    }

    /// <summary>x + y if the condition holds, else x, in one instruction.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float AddIf(bool condition, float x, float y)
    {
        CudaAsm.Emit("mov.f32 %0, %1; @%3 add.f32 %0, %1, %2;", out float r, x, y, condition);
        return r;
    }

    /// <summary>The larger of x and y if the condition holds, else x, in one instruction.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxIf(bool condition, float x, float y)
    {
        CudaAsm.Emit("mov.f32 %0, %1; @%3 max.f32 %0, %1, %2;", out float r, x, y, condition);
        return r;
    }

    /// <summary>tanh(x), within about 1e-7 absolute: 1 - 2 / (1 + e^2x). (tanh.approx errs by 5e-4, far too much for a soft-cap.)</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Tanh(float x) => Fma(-2, Reciprocal(1 + Exp2(x * (2 * Log2E))), 1);

    /// <summary>Two floats rounded to two elements of T in one register, the first in the low half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Pack<T>(float low, float high)
        where T : struct, IElement
    {
        int packed;
        if (T.IsBFloat16)
        {
            CudaAsm.Emit("cvt.rn.bf16x2.f32 %0, %1, %2;", out packed, high, low);
        }
        else
        {
            CudaAsm.Emit("cvt.rn.f16x2.f32 %0, %1, %2;", out packed, high, low);
        }
        return packed;
    }

    /// <summary>The float16 with these bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float FromHalf(ushort bits)
    {
        CudaAsm.Emit("cvt.f32.f16 %0, %1;", out float x, bits);
        return x;
    }
}
