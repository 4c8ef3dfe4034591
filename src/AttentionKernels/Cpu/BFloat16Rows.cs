using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AttentionKernels.Cpu;

/// <summary>Rows of bfloat16 to and from float32; <see cref="BFloat16"/> says how.</summary>
internal static unsafe class BFloat16Rows
{
    /// <summary>Widens <paramref name="count"/> values, exactly (NaN stays NaN).</summary>
    public static void Widen(BFloat16* source, float* target, int count)
    {
        int i = 0;
        for (; i + Vector128<ushort>.Count <= count; i += Vector128<ushort>.Count)
        {
            Vector128<ushort> bits = Vector128.Load((ushort*)source + i);
            (Vector128.WidenLower(bits) << 16).AsSingle().Store(target + i);
            (Vector128.WidenUpper(bits) << 16).AsSingle().Store(target + i + 4);
        }
        for (; i < count; i++)
        {
            target[i] = (float)source[i];
        }
    }

    /// <summary>Rounds <paramref name="count"/> values to nearest, ties to even.</summary>
    public static void Narrow(float* source, BFloat16* target, int count)
    {
        int i = 0;
        for (; i + Vector128<ushort>.Count <= count; i += Vector128<ushort>.Count)
        {
            Vector128.Narrow(Narrow(Vector128.Load(source + i)), Narrow(Vector128.Load(source + i + 4))).Store((ushort*)target + i);
        }
        for (; i < count; i++)
        {
            target[i] = (BFloat16)source[i];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> Narrow(Vector128<float> value)
    {
        Vector128<uint> bits = value.AsUInt32();
        Vector128<uint> rounded = bits + Vector128.Create(0x7fffu) + ((bits >> 16) & Vector128<uint>.One);
        return Vector128.ConditionalSelect(Vector128.Equals(value, value).AsUInt32(), rounded, bits | Vector128.Create(0x400000u)) >> 16;
    }
}
