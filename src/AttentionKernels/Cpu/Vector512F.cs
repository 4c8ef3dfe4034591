using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AttentionKernels.Cpu;

/// <summary>16 float32 lanes of a 512-bit register.</summary>
internal unsafe struct Vector512F(Vector512<float> lane) : IVector<Vector512F>
{
    public Vector512<float> Lane = lane;

    public static int Count => 16;

    /// <summary>24 accumulators of 32 registers.</summary>
    public static int BlockVectors => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512F Load(float* source) => new(Vector512.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512F value, float* target) => value.Lane.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreStreaming(Vector512F value, float* target) => value.Lane.StoreAlignedNonTemporal(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreFence() => System.Runtime.Intrinsics.X86.Sse.StoreFence();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512F Broadcast(float value) => new(Vector512.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512F MultiplyAdd(Vector512F a, Vector512F b, Vector512F c) => new(Vector512.FusedMultiplyAdd(a.Lane, b.Lane, c.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Accumulate(Vector512F a, Vector512F b, ref Vector512F c) => c.Lane = Vector512.FusedMultiplyAdd(a.Lane, b.Lane, c.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AccumulateBroadcast(float* a, Vector512F b, ref Vector512F c) => c.Lane = Vector512.FusedMultiplyAdd(b.Lane, Vector512.Create(*a), c.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512F Add(Vector512F a, Vector512F b) => new(a.Lane + b.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512F Subtract(Vector512F a, Vector512F b) => new(a.Lane - b.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512F Multiply(Vector512F a, Vector512F b) => new(a.Lane * b.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512F Divide(Vector512F a, Vector512F b) => new(a.Lane / b.Lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512F Abs(Vector512F a) => new(Vector512.Abs(a.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512F Max(Vector512F a, Vector512F b) => new(Vector512.MaxNative(a.Lane, b.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512F LessThan(Vector512F a, Vector512F b) => new(Vector512.LessThan(a.Lane, b.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512F Equals(Vector512F a, Vector512F b) => new(Vector512.Equals(a.Lane, b.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512F Select(Vector512F mask, Vector512F a, Vector512F b) => new(Vector512.ConditionalSelect(mask.Lane, a.Lane, b.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512F ZeroBelow(Vector512F x, Vector512F limit, Vector512F value) =>
        new(Vector512.ConditionalSelect(Vector512.LessThan(x.Lane, limit.Lane), Vector512<float>.Zero, value.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512F CopySign(Vector512F a, Vector512F b) => new(Vector512.CopySign(a.Lane, b.Lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool All(Vector512F mask) => Vector512.EqualsAll(mask.Lane.AsInt32(), Vector512<int>.AllBitsSet);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Fold(Vector512F a)
    {
        Vector256<float> half = a.Lane.GetLower() + a.Lane.GetUpper();
        return half.GetLower() + half.GetUpper();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512F Lanes(ulong bits)
    {
        Vector512<int> lane = Vector512.Create(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768);
        return new(Vector512.Equals(Vector512.Create((int)bits) & lane, lane).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512F InRange(int* first, int* end, int value)
    {
        Vector512<int> v = Vector512.Create(value);
        return new((Vector512.GreaterThanOrEqual(v, Vector512.Load(first)) & Vector512.LessThan(v, Vector512.Load(end))).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512F ScaleByPowerOfTwo(Vector512F a, Vector512F shifted) => new((a.Lane.AsInt32() + (shifted.Lane.AsInt32() << 23)).AsSingle());
}
