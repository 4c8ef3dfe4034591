using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AttentionKernels.Cpu;

/// <summary>Rows of float16 to and from float32.</summary>
internal static unsafe class HalfRows
{
    /// <summary>Widens <paramref name="count"/> values, exactly (NaN stays NaN).</summary>
    /// <remarks>
    /// Shifting exponent and mantissa into float32 position leaves the exponent 112 too small; multiplying by 2^112 corrects it and
    /// makes subnormals normal in the same step. Infinity and NaN lack another 112, which an OR of the full exponent gives.
    /// </remarks>
    public static void Widen(Half* source, float* target, int count)
    {
        int i = 0;
        for (; i + Vector128<ushort>.Count <= count; i += Vector128<ushort>.Count)
        {
            Vector128<ushort> bits = Vector128.Load((ushort*)source + i);
            Widen(Vector128.WidenLower(bits)).Store(target + i);
            Widen(Vector128.WidenUpper(bits)).Store(target + i + 4);
        }
        for (; i < count; i++)
        {
            target[i] = (float)source[i];
        }
    }

    /// <summary>Rounds <paramref name="count"/> values to nearest, ties to even; 65520 and more become infinite.</summary>
    public static void Narrow(float* source, Half* target, int count)
    {
        int i = 0;
        for (; i + Vector128<ushort>.Count <= count; i += Vector128<ushort>.Count)
        {
            Vector128.Narrow(Narrow(Vector128.Load(source + i)), Narrow(Vector128.Load(source + i + 4))).Store((ushort*)target + i);
        }
        for (; i < count; i++)
        {
            target[i] = (Half)source[i];
        }
    }

    /// <remarks>
    /// A normal result is rounded in its float32 bits, then its exponent is made 112 smaller. For a subnormal one the addition of 0.5 rounds: the
    /// last mantissa bit of numbers from 0.5 on stands for 2^-24, as that of a subnormal float16 does.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> Narrow(Vector128<float> value)
    {
        Vector128<uint> bits = value.AsUInt32(), magnitude = bits & Vector128.Create(0x7fffffffu);
        Vector128<uint> normal = ((magnitude + Vector128.Create(0xfffu) + ((magnitude >> 13) & Vector128<uint>.One)) >> 13) - Vector128.Create(112u << 10);
        Vector128<uint> subnormal = (magnitude.AsSingle() + Vector128.Create(0.5f)).AsUInt32() - Vector128.Create(0x3f000000u);
        Vector128<uint> result = Vector128.ConditionalSelect(Vector128.LessThan(magnitude, Vector128.Create(113u << 23)), subnormal, normal);
        result = Vector128.ConditionalSelect(Vector128.LessThan(magnitude, Vector128.Create(0x477ff000u)), result, Vector128.Create(0x7c00u));
        result = Vector128.ConditionalSelect(Vector128.Equals(value, value).AsUInt32(), result, Vector128.Create(0x7e00u));
        return result | ((bits >> 16) & Vector128.Create(0x8000u));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Widen(Vector128<uint> half)
    {
        Vector128<uint> magnitude = half & Vector128.Create(0x7fffu);
        Vector128<uint> sign = (half & Vector128.Create(0x8000u)) << 16;
        Vector128<float> scaled = (magnitude << 13).AsSingle() * Vector128.Create(5.192296858534828e33f);
        Vector128<uint> special = Vector128.GreaterThan(magnitude, Vector128.Create(0x7bffu)) & Vector128.Create(0x7f800000u);
        return (scaled.AsUInt32() | special | sign).AsSingle();
    }
}
