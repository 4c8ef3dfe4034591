using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AttentionKernels.Cpu;

/// <summary>8 float32 lanes of a 256-bit register.</summary>
internal unsafe struct Vector256F(Vector256<float> lane) : IVector<Vector256F>
{
    public Vector256<float> Lane = lane;

    public static int Count => 8;

    /// <summary>12 accumulators of 16 registers.</summary>
    public static int BlockVectors => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256F Load(float* source) => new(Vector256.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256F value, float* target) => value.Lane.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreStreaming(Vector256F value, float* target) => value.Lane.StoreAlignedNonTemporal(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreFence() => System.Runtime.Intrinsics.X86.Sse.StoreFence();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256F Broadcast(float value) => new(Vector256.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256F MultiplyAdd(Vector256F a, Vector256F b, Vector256F c) => new(Vector256.FusedMultiplyAdd(a.Lane, b.Lane, c.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Accumulate(Vector256F a, Vector256F b, ref Vector256F c) => c.Lane = Vector256.FusedMultiplyAdd(a.Lane, b.Lane, c.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AccumulateBroadcast(float* a, Vector256F b, ref Vector256F c) => c.Lane = Vector256.FusedMultiplyAdd(b.Lane, Vector256.Create(*a), c.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256F Add(Vector256F a, Vector256F b) => new(a.Lane + b.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256F Subtract(Vector256F a, Vector256F b) => new(a.Lane - b.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256F Multiply(Vector256F a, Vector256F b) => new(a.Lane * b.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256F Divide(Vector256F a, Vector256F b) => new(a.Lane / b.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256F Abs(Vector256F a) => new(Vector256.Abs(a.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256F Max(Vector256F a, Vector256F b) => new(Vector256.MaxNative(a.Lane, b.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256F LessThan(Vector256F a, Vector256F b) => new(Vector256.LessThan(a.Lane, b.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256F Equals(Vector256F a, Vector256F b) => new(Vector256.Equals(a.Lane, b.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256F Select(Vector256F mask, Vector256F a, Vector256F b) => new(Vector256.ConditionalSelect(mask.Lane, a.Lane, b.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256F ZeroBelow(Vector256F x, Vector256F limit, Vector256F value) =>
        new(Vector256.ConditionalSelect(Vector256.LessThan(x.Lane, limit.Lane), Vector256<float>.Zero, value.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256F CopySign(Vector256F a, Vector256F b) => new(Vector256.CopySign(a.Lane, b.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool All(Vector256F mask) => Vector256.EqualsAll(mask.Lane.AsInt32(), Vector256<int>.AllBitsSet);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Fold(Vector256F a) => a.Lane.GetLower() + a.Lane.GetUpper();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256F Lanes(ulong bits)
    {
        Vector256<int> lane = Vector256.Create(1, 2, 4, 8, 16, 32, 64, 128);
        return new(Vector256.Equals(Vector256.Create((int)bits) & lane, lane).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256F InRange(int* first, int* end, int value)
    {
        Vector256<int> v = Vector256.Create(value);
        return new((Vector256.GreaterThanOrEqual(v, Vector256.Load(first)) & Vector256.LessThan(v, Vector256.Load(end))).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256F ScaleByPowerOfTwo(Vector256F a, Vector256F shifted) => new((a.Lane.AsInt32() + (shifted.Lane.AsInt32() << 23)).AsSingle());
}
