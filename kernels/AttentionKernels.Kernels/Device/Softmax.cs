using System.Runtime.CompilerServices;

namespace AttentionKernels.Kernels.Device;

/// <summary>Online softmax of the two rows that a lane has of a row fragment.</summary>
/// <remarks>
/// log2 is what turns a logit of the tile into base-2 units. Exponentials are ex2(s * log2 - maximum * log2), where maximum * log2 is rounded once, when the maximum is: with a
/// fused multiply-add all of a row are then relative to the same number, however large logits are. Of logits in base-2 units, log2 is 1.
/// </remarks>
internal static class Softmax
{
    /// <summary>Raises the maxima by a tile's logits and makes the sums relative to them.</summary>
    /// <param name="s">Logits.</param>
    /// <param name="at">First of four fragments.</param>
    /// <param name="log2">Factor to base-2 units, above 0.</param>
    /// <param name="r">The rows.</param>
    /// <param name="upper">What the upper row's output so far must be multiplied by.</param>
    /// <param name="lower">The same of the lower row.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Raise(Fragment[] s, int at, float log2, ref RowState r, out float upper, out float lower)
    {
        float x = Arithmetic.Max(s[at].X, s[at].Y), z = Arithmetic.Max(s[at].Z, s[at].W);
        Maximum(s[at + 1], ref x, ref z);
        Maximum(s[at + 2], ref x, ref z);
        Maximum(s[at + 3], ref x, ref z);
        x = Arithmetic.Max(r.UpperMaximum, Lanes.QuadMax(x) * log2);
        z = Arithmetic.Max(r.LowerMaximum, Lanes.QuadMax(z) * log2);
        upper = Arithmetic.Exp2(r.UpperMaximum - Base(x));
        lower = Arithmetic.Exp2(r.LowerMaximum - Base(z));
        r.UpperMaximum = x;
        r.LowerMaximum = z;
        r.UpperSum *= upper;
        r.LowerSum *= lower;
    }

    /// <summary>Exponentials of 16 keys as left operand of the product with their values; they are added to the sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int4 Exponentials<T>(Fragment a, Fragment b, float log2, ref RowState r)
        where T : struct, IElement
    {
        float upper = Base(r.UpperMaximum), lower = Base(r.LowerMaximum);
        float ax = Exp2(a.X, log2, upper), ay = Exp2(a.Y, log2, upper), az = Exp2(a.Z, log2, lower), aw = Exp2(a.W, log2, lower);
        float bx = Exp2(b.X, log2, upper), by = Exp2(b.Y, log2, upper), bz = Exp2(b.Z, log2, lower), bw = Exp2(b.W, log2, lower);
        r.UpperSum += ax + ay + (bx + by);
        r.LowerSum += az + aw + (bz + bw);
        return new Int4
        {
            X = Arithmetic.Pack<T>(ax, ay),
            Y = Arithmetic.Pack<T>(az, aw),
            Z = Arithmetic.Pack<T>(bx, by),
            W = Arithmetic.Pack<T>(bz, bw),
        };
    }

    /// <summary>The exponential of one logit in base-2 units, relative to its row's maximum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Exponential(float s, float maximum) => Exp2(s, 1, Base(maximum));

    /// <summary>Logit of the head's sink in base-2 units; -inf where there is none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sink(long headSink, int head)
    {
        float sink = float.NegativeInfinity;
        if (headSink != 0)
        {
            sink = GlobalMemory.LoadFloat(headSink + (head * 4L)) * Arithmetic.Log2E;
        }
        return sink;
    }

    /// <summary>What the output of a row is multiplied by at the end: 1 / (sum + e^sink), 0 for a row that sees no key.</summary>
    /// <param name="maximum">The row's maximum.</param>
    /// <param name="sum">The lane's part of the row's sum.</param>
    /// <param name="sink"><see cref="Sink"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Normaliser(float maximum, float sum, float sink)
    {
        float top = Arithmetic.Max(maximum, sink), weight = Arithmetic.Exp2(maximum - top);
        float total = Arithmetic.Fma(Lanes.QuadSum(sum), weight, Arithmetic.Exp2(sink - top));
        return Arithmetic.Select(maximum == float.NegativeInfinity, 0, weight / total);
    }

    /// <summary>What exponentials are relative to: the maximum, or 0 where no key was seen, since -inf - -inf is NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Base(float maximum) => Arithmetic.Select(maximum == float.NegativeInfinity, 0, maximum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Exp2(float s, float log2, float relativeTo) => Arithmetic.Exp2(Arithmetic.Fma(s, log2, -relativeTo));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Maximum(Fragment s, ref float upper, ref float lower)
    {
        upper = Arithmetic.Max(Arithmetic.Max(upper, s.X), s.Y);
        lower = Arithmetic.Max(Arithmetic.Max(lower, s.Z), s.W);
    }
}
