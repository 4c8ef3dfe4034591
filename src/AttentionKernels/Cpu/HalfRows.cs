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

    /// <summary>Rounds <paramref name="count"/> values to the nearest float16, ties to even.</summary>
    public static void Narrow(float* source, Half* target, int count)
    {
        for (int i = 0; i < count; i++)
        {
            target[i] = (Half)source[i];
        }
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
