using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AttentionKernels.Cpu;

/// <summary>4 float32 lanes of a 128-bit register.</summary>
internal unsafe struct Vector128F(Vector128<float> lane) : IVector<Vector128F>
{
    public Vector128<float> Lane = lane;

    public static int Count => 4;

    /// <summary>12 accumulators of 16 registers.</summary>
    public static int BlockVectors => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128F Load(float* source) => new(Vector128.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128F value, float* target) => value.Lane.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreStreaming(Vector128F value, float* target) => value.Lane.Store(target);

    public static void StoreFence()
    {
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128F Broadcast(float value) => new(Vector128.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128F MultiplyAdd(Vector128F a, Vector128F b, Vector128F c) => new(Vector128.MultiplyAddEstimate(a.Lane, b.Lane, c.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Accumulate(Vector128F a, Vector128F b, ref Vector128F c) => c.Lane = Vector128.MultiplyAddEstimate(a.Lane, b.Lane, c.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AccumulateBroadcast(float* a, Vector128F b, ref Vector128F c) => c.Lane = Vector128.MultiplyAddEstimate(b.Lane, Vector128.Create(*a), c.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128F Add(Vector128F a, Vector128F b) => new(a.Lane + b.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128F Subtract(Vector128F a, Vector128F b) => new(a.Lane - b.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128F Multiply(Vector128F a, Vector128F b) => new(a.Lane * b.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128F Divide(Vector128F a, Vector128F b) => new(a.Lane / b.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128F Abs(Vector128F a) => new(Vector128.Abs(a.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128F Max(Vector128F a, Vector128F b) => new(Vector128.MaxNative(a.Lane, b.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128F LessThan(Vector128F a, Vector128F b) => new(Vector128.LessThan(a.Lane, b.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128F Equals(Vector128F a, Vector128F b) => new(Vector128.Equals(a.Lane, b.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128F Select(Vector128F mask, Vector128F a, Vector128F b) => new(Vector128.ConditionalSelect(mask.Lane, a.Lane, b.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128F ZeroBelow(Vector128F x, Vector128F limit, Vector128F value) =>
        new(Vector128.ConditionalSelect(Vector128.LessThan(x.Lane, limit.Lane), Vector128<float>.Zero, value.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128F CopySign(Vector128F a, Vector128F b) => new(Vector128.CopySign(a.Lane, b.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool All(Vector128F mask) => Vector128.EqualsAll(mask.Lane.AsInt32(), Vector128<int>.AllBitsSet);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Fold(Vector128F a) => a.Lane;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128F Lanes(ulong bits)
    {
        Vector128<int> lane = Vector128.Create(1, 2, 4, 8);
        return new(Vector128.Equals(Vector128.Create((int)bits) & lane, lane).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128F InRange(int* first, int* end, int value)
    {
        Vector128<int> v = Vector128.Create(value);
        return new((Vector128.GreaterThanOrEqual(v, Vector128.Load(first)) & Vector128.LessThan(v, Vector128.Load(end))).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128F ScaleByPowerOfTwo(Vector128F a, Vector128F shifted) => new((a.Lane.AsInt32() + (shifted.Lane.AsInt32() << 23)).AsSingle());
}
