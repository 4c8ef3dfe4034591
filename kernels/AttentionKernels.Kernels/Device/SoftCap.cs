using System.Runtime.CompilerServices;
using ILGPU;

namespace AttentionKernels.Kernels.Device;

/// <summary>Soft-cap of logits for float32 results.</summary>
internal static class SoftCap
{
    /// <summary>cap * tanh(s / cap), within 2e-7 relative. 1 - 2 / (1 + e^2x) alone has no digits left where x is small.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Apply(float s, float cap)
    {
        float inverse = Arithmetic.Reciprocal(cap), x = s * inverse;
        float rounded = Arithmetic.Fma(Arithmetic.Fma(-x, cap, s), inverse, x); // s / cap to the last place, unless s is infinite
        x = IntrinsicMath.Abs(x) < float.PositiveInfinity ? rounded : x; // x - x == 0 could become a fused s * inverse - x, which is not 0
        float y = x * x;
        float polynomial = Arithmetic.Fma(-0.00620025769f, y, 0.02106663026f);
        polynomial = Arithmetic.Fma(polynomial, y, -0.05386519805f);
        polynomial = Arithmetic.Fma(polynomial, y, 0.13332861662f);
        polynomial = Arithmetic.Fma(polynomial, y, -0.33333328366f);
        float small = Arithmetic.Fma(polynomial * y, x, x), large = Arithmetic.Tanh(x);
        return cap * (y < 0.37f ? small : large);
    }
}
