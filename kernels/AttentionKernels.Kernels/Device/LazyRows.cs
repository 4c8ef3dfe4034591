using System.Runtime.CompilerServices;

namespace AttentionKernels.Kernels.Device;

/// <summary>
/// Online softmax of the two rows that a lane has of a row fragment, relative to a level that stays where it is until a logit lies far above it.
/// </summary>
/// <remarks>
/// Any level gives the same quotients. With the row's running maximum every tile may rescale the output, and a quarter of all instructions would be those products. A level within
/// 2^8 of the maximum costs nothing in accuracy: exponentials are rounded relative to their own size, 256 is far from float16's largest, and sums are float32. In a tile that raises no
/// level the maximum need not go round the row's four lanes either.
///
/// The first level is the lowest finite float, not -inf: then a difference from it is never NaN. No row keeps it that has seen a key. Whether a level is raised depends on the row alone.
/// </remarks>
internal struct LazyRows
{
    // In base-2 units.
    private const float Slack = 8;

    /// <summary>What exponentials are relative to, in base-2 units. The same in the four lanes of the row.</summary>
    public float UpperLevel, LowerLevel;

    /// <summary>Sum of exponentials over the lane's own keys; 0: none was seen.</summary>
    public float UpperSum, LowerSum;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LazyRows Empty() => new() { UpperLevel = -float.MaxValue, LowerLevel = -float.MaxValue };

    /// <summary>The largest of the lane's own logits of a tile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Largest(Fragment[] s, int at, out float upper, out float lower)
    {
        upper = Arithmetic.Max(s[at].X, s[at].Y);
        lower = Arithmetic.Max(s[at].Z, s[at].W);
        Largest(s[at + 1], ref upper, ref lower);
        Largest(s[at + 2], ref upper, ref lower);
        Largest(s[at + 3], ref upper, ref lower);
    }

    /// <summary>Whether a level must be raised for these logits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsExceeded(LazyRows r, float upper, float lower, float log2) => IsAbove(upper, r.UpperLevel, log2) | IsAbove(lower, r.LowerLevel, log2);

    /// <summary>Raises levels where <see cref="IsExceeded"/> holds in one of the row's lanes, all of which take part, and makes the sums relative to them.</summary>
    /// <param name="r">The rows.</param>
    /// <param name="upper"><see cref="Largest(Fragment[], int, out float, out float)"/>; becomes what the upper row's output so far must be multiplied by.</param>
    /// <param name="lower">The same of the lower row.</param>
    /// <param name="log2">Factor to base-2 units, above 0.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Raise(ref LazyRows r, ref float upper, ref float lower, float log2)
    {
        upper = Raise(ref r.UpperLevel, Lanes.QuadMax(upper), log2);
        lower = Raise(ref r.LowerLevel, Lanes.QuadMax(lower), log2);
        r.UpperSum *= upper;
        r.LowerSum *= lower;
    }

    /// <summary>The logits of 16 keys, fragments <paramref name="at"/> and the next one, become their exponentials, which are added to the sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Exponentiate(Fragment[] s, int at, float log2, ref LazyRows r)
    {
        Exponentiate(ref s[at], log2, r);
        Exponentiate(ref s[at + 1], log2, r);
        r.UpperSum += s[at].X + s[at].Y + (s[at + 1].X + s[at + 1].Y);
        r.LowerSum += s[at].Z + s[at].W + (s[at + 1].Z + s[at + 1].W);
    }

    /// <summary>These exponentials as left operand of the product with their values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int4 Pack<T>(Fragment[] s, int at)
        where T : struct, IElement => new()
        {
            X = Arithmetic.Pack<T>(s[at].X, s[at].Y),
            Y = Arithmetic.Pack<T>(s[at].Z, s[at].W),
            Z = Arithmetic.Pack<T>(s[at + 1].X, s[at + 1].Y),
            W = Arithmetic.Pack<T>(s[at + 1].Z, s[at + 1].W),
        };

    /// <summary>What the output of a row is multiplied by at the end: 1 / (sum + e^sink), 0 for a row that sees no key.</summary>
    /// <param name="level">The row's level.</param>
    /// <param name="sum">The lane's part of the row's sum.</param>
    /// <param name="sink"><see cref="Softmax.Sink"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Normaliser(float level, float sum, float sink)
    {
        sum = Lanes.QuadSum(sum);
        float top = Arithmetic.Max(level, sink), weight = Arithmetic.Exp2(level - top);
        return Arithmetic.Select(sum == 0, 0, weight / Arithmetic.Fma(sum, weight, Arithmetic.Exp2(sink - top)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsAbove(float s, float level, float log2) => Arithmetic.Fma(s, log2, -level) > Slack;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Raise(ref float level, float s, float log2)
    {
        bool raised = IsAbove(s, level, log2);
        float next = Arithmetic.Select(raised, s * log2, level), factor = Arithmetic.Exp2(level - next);
        level = next;
        return factor;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Exponentiate(ref Fragment s, float log2, LazyRows r)
    {
        s.X = Arithmetic.Exp2(Arithmetic.Fma(s.X, log2, -r.UpperLevel));
        s.Y = Arithmetic.Exp2(Arithmetic.Fma(s.Y, log2, -r.UpperLevel));
        s.Z = Arithmetic.Exp2(Arithmetic.Fma(s.Z, log2, -r.LowerLevel));
        s.W = Arithmetic.Exp2(Arithmetic.Fma(s.W, log2, -r.LowerLevel));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Largest(Fragment s, ref float upper, ref float lower)
    {
        upper = Arithmetic.Max(Arithmetic.Max(upper, s.X), s.Y);
        lower = Arithmetic.Max(Arithmetic.Max(lower, s.Z), s.W);
    }
}
