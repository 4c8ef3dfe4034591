using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Approximate functions of float32.</summary>
internal sealed unsafe partial class Warp
{
    public static void Approximate(Warp w, PtxInstruction i)
    {
        float* a = (float*)w.Lanes(i.A);
        float* b = i.B < 0 ? a : (float*)w.Lanes(i.B);
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            float x = i.Flush ? FlushLane(a[lane]) : a[lane];
            float y = i.Flush ? FlushLane(b[lane]) : b[lane];
            float result = i.Approximation!.Round(i.Approximation.Exact(x, y), x, w._block.ApproximationSeed);
            result = i.Flush ? FlushLane(result) : result;
            result = i.Saturate ? result > 0 ? Math.Min(result, 1) : 0 : result;
            w.Lanes(i.D)[lane] = float.IsNaN(result) ? 0x7fff_ffff : BitConverter.SingleToUInt32Bits(result);
        }
    }

    /// <summary>ex2: as <see cref="Approximate"/>, four lanes at a time.</summary>
    public static void Exponential(Warp w, PtxInstruction i)
    {
        if (w._block.ApproximationSeed is not null)
        {
            Approximate(w, i);
            return;
        }
        for (int at = 0; at < 128; at += 32)
        {
            Vector256<float> x = w.F32(i, i.A, at);
            (Vector256<double> low, Vector256<double> high) = Vector256.Widen(x);
            w.PutFloat(i, at, Vector256.Narrow(PowerOfTwo(low), PowerOfTwo(high)));
        }
    }

    // 2^x: 2^n by the exponent field, 2^f for f in -0.5..0.5 by its series to f^12 (relative error below 1e-15).
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> PowerOfTwo(Vector256<double> x)
    {
        // Beyond these limits float32 has 0 or infinity; NaN passes through the comparison at the end.
        Vector256<double> clamped = Vector256.Min(Vector256.Max(x, Vector256.Create(-200.0)), Vector256.Create(200.0));
        Vector256<double> n = Vector256.Round(clamped);
        Vector256<double> f = (clamped - n) * Vector256.Create(0.693147180559945309);
        Vector256<double> sum = Vector256.Create(1.0 / 479001600);
        sum = Vector256.FusedMultiplyAdd(sum, f, Vector256.Create(1.0 / 39916800));
        sum = Vector256.FusedMultiplyAdd(sum, f, Vector256.Create(1.0 / 3628800));
        sum = Vector256.FusedMultiplyAdd(sum, f, Vector256.Create(1.0 / 362880));
        sum = Vector256.FusedMultiplyAdd(sum, f, Vector256.Create(1.0 / 40320));
        sum = Vector256.FusedMultiplyAdd(sum, f, Vector256.Create(1.0 / 5040));
        sum = Vector256.FusedMultiplyAdd(sum, f, Vector256.Create(1.0 / 720));
        sum = Vector256.FusedMultiplyAdd(sum, f, Vector256.Create(1.0 / 120));
        sum = Vector256.FusedMultiplyAdd(sum, f, Vector256.Create(1.0 / 24));
        sum = Vector256.FusedMultiplyAdd(sum, f, Vector256.Create(1.0 / 6));
        sum = Vector256.FusedMultiplyAdd(sum, f, Vector256.Create(0.5));
        sum = Vector256.FusedMultiplyAdd(sum, f, Vector256.Create(1.0));
        sum = Vector256.FusedMultiplyAdd(sum, f, Vector256.Create(1.0));
        // n as an integer in the low bits: adding 1.5 * 2^52 leaves it there.
        Vector256<long> exponent = (n + Vector256.Create(6755399441055744.0)).AsInt64() << 52;
        Vector256<double> result = (sum.AsInt64() + exponent).AsDouble();
        return Vector256.ConditionalSelect(Vector256.Equals(x, x), result, x);
    }

    private static float FlushLane(float value) => float.IsSubnormal(value) ? MathF.CopySign(0, value) : value;
}
