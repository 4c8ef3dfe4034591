using System.Runtime.CompilerServices;

namespace AttentionKernels.Cpu;

/// <summary>Elementary functions on vectors of float32.</summary>
internal static class VectorMath
{
    /// <summary>Below this e^x is under the smallest normal float32, 2^-126.</summary>
    private const float ExpUnderflow = -87.33f;

    /// <summary>1.5 * 2^23: adding it rounds a small float to an integer, which then sits in the low mantissa bits.</summary>
    private const float RoundShift = 12582912f;

    /// <summary>e^x for x &lt;= 88, within 2 ulp; 0 below -87.33, NaN for NaN.</summary>
    /// <remarks>
    /// x = n ln 2 + r with |r| &lt;= ln 2 / 2, ln 2 split in two so that r is exact to float32; e^r by the polynomial of degree 6 with the least
    /// relative error (3.2e-9 = 0.05 half ulps with coefficients rounded to float32; degree 5 would leave 7.4), found by exchange with 1 as the
    /// constant. 2^n goes straight into the exponent. VectorMathTests checks every 97th float of [-87.3, 0].
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Exp<V>(V x)
        where V : struct, IVector<V>
    {
        V shift = V.Broadcast(RoundShift), one = V.Broadcast(1f);
        V shifted = V.MultiplyAdd(x, V.Broadcast(1.44269504f), shift);
        V n = V.Subtract(shifted, shift);
        V r = V.MultiplyAdd(n, V.Broadcast(-0.693359375f), x);
        r = V.MultiplyAdd(n, V.Broadcast(2.12194440e-4f), r);
        V p = V.Broadcast(0.0013838002923876047f);
        p = V.MultiplyAdd(p, r, V.Broadcast(0.00836916547268629f));
        p = V.MultiplyAdd(p, r, V.Broadcast(0.04166810214519501f));
        p = V.MultiplyAdd(p, r, V.Broadcast(0.16666516661643982f));
        p = V.MultiplyAdd(p, r, V.Broadcast(0.4999999403953552f));
        p = V.MultiplyAdd(p, r, one);
        p = V.MultiplyAdd(p, r, one);
        return V.ZeroBelow(x, V.Broadcast(ExpUnderflow), V.ScaleByPowerOfTwo(p, shifted));
    }

    /// <summary>tanh x, within 2 ulp; NaN for NaN.</summary>
    /// <remarks>Near 0 the odd polynomial of Cephes' tanhf keeps the relative error; elsewhere 1 - 2e / (1 + e) with e = e^(-2|x|), whose rounding errors shrink with e.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Tanh<V>(V x)
        where V : struct, IVector<V>
    {
        V magnitude = V.Abs(x);
        V square = V.Multiply(x, x);
        V p = V.Broadcast(-5.70498872745e-3f);
        p = V.MultiplyAdd(p, square, V.Broadcast(2.06390887954e-2f));
        p = V.MultiplyAdd(p, square, V.Broadcast(-5.37397155531e-2f));
        p = V.MultiplyAdd(p, square, V.Broadcast(1.33314422036e-1f));
        p = V.MultiplyAdd(p, square, V.Broadcast(-3.33332819422e-1f));
        V small = V.MultiplyAdd(V.Multiply(p, square), x, x);

        V one = V.Broadcast(1f);
        V e = Exp(V.Multiply(magnitude, V.Broadcast(-2f)));
        V large = V.CopySign(V.Subtract(one, V.Divide(V.Add(e, e), V.Add(one, e))), x);
        return V.Select(V.LessThan(magnitude, V.Broadcast(0.625f)), small, large);
    }
}
