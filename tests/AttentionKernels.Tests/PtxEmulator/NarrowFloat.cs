using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Conversions between float32 and 16-bit floats, in the low half of each lane of 32 bits.</summary>
internal static class NarrowFloat
{
    private const uint CanonicalHalf = 0x7fff;

    /// <summary>float16 to float32, exact.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> FromHalf(Vector256<uint> bits)
    {
        // The exponent moves by 112 by a product with 2^112, which is exact and also makes denormals normal.
        Vector256<uint> magnitude = (bits & Vector256.Create(0x7fffu)) << 13;
        Vector256<uint> scaled = (magnitude.AsSingle() * Vector256.Create(BitConverter.UInt32BitsToSingle((127u + 112) << 23))).AsUInt32();
        Vector256<uint> special = Vector256.GreaterThanOrEqual(magnitude, Vector256.Create(0x7c00u << 13)) & Vector256.Create(0x7f80_0000u);
        return (scaled | special | ((bits & Vector256.Create(0x8000u)) << 16)).AsSingle();
    }

    /// <summary>bfloat16 to float32, exact.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> FromBrainFloat(Vector256<uint> bits) => (bits << 16).AsSingle();

    /// <summary>float32 to float16, to nearest even; NaN becomes 0x7fff.</summary>
    public static Vector256<uint> ToHalf(Vector256<float> value)
    {
        Vector256<uint> bits = value.AsUInt32();
        Vector256<uint> sign = (bits >>> 16) & Vector256.Create(0x8000u);
        Vector256<uint> magnitude = bits & Vector256.Create(0x7fff_ffffu);
        // Normal results: round away the low 13 bits; overflow runs into the exponent of infinity.
        Vector256<uint> odd = (magnitude >>> 13) & Vector256<uint>.One;
        Vector256<uint> normal = ((magnitude + odd + Vector256.Create(0xfffu)) >>> 13) - Vector256.Create(112u << 10);
        normal = Vector256.Min(normal, Vector256.Create(0x7c00u));
        // Denormal results: adding 0.5 leaves units of 2^-24 in the low bits, rounded by the addition.
        Vector256<uint> small = (magnitude.AsSingle() + Vector256.Create(0.5f)).AsUInt32() - Vector256.Create(0x3f00_0000u);
        Vector256<uint> result = Vector256.ConditionalSelect(
            Vector256.LessThan(magnitude, Vector256.Create(0x3880_0000u)), small, normal);
        result |= sign;
        return Vector256.ConditionalSelect(
            Vector256.GreaterThan(magnitude, Vector256.Create(0x7f80_0000u)), Vector256.Create(CanonicalHalf), result);
    }

    /// <summary>float32 to bfloat16, to nearest even; NaN becomes 0x7fff.</summary>
    public static Vector256<uint> ToBrainFloat(Vector256<float> value)
    {
        Vector256<uint> bits = value.AsUInt32();
        Vector256<uint> odd = (bits >>> 16) & Vector256<uint>.One;
        Vector256<uint> rounded = (bits + odd + Vector256.Create(0x7fffu)) >>> 16;
        return Vector256.ConditionalSelect(
            Vector256.GreaterThan(bits & Vector256.Create(0x7fff_ffffu), Vector256.Create(0x7f80_0000u)),
            Vector256.Create(CanonicalHalf), rounded);
    }

    public static float FromHalf(uint bits) => (float)BitConverter.UInt16BitsToHalf((ushort)bits);

    public static float FromBrainFloat(uint bits) => BitConverter.UInt32BitsToSingle(bits << 16);

    /// <summary>Rounded once, to nearest even.</summary>
    public static uint ToHalf(double value) => double.IsNaN(value) ? CanonicalHalf : BitConverter.HalfToUInt16Bits((Half)value);

    public static uint ToBrainFloat(double value)
    {
        if (double.IsNaN(value))
        {
            return CanonicalHalf;
        }
        // Rounding to odd in float32 first keeps the second rounding from seeing a false tie.
        float nearest = (float)value;
        uint bits = BitConverter.SingleToUInt32Bits(nearest);
        if (float.IsFinite(nearest) && nearest != value)
        {
            if (Math.Abs(nearest) > Math.Abs(value))
            {
                bits--;
            }
            bits |= 1;
        }
        return ToBrainFloat(Vector256.Create(BitConverter.UInt32BitsToSingle(bits)))[0];
    }

    /// <summary>float16 or bfloat16 bits as float32.</summary>
    public static float From(PtxType type, uint bits) => type.Kind == 'h' ? FromBrainFloat(bits) : FromHalf(bits);

    /// <summary>Bits of the nearest float16 or bfloat16.</summary>
    public static uint To(PtxType type, double value) => type.Kind == 'h' ? ToBrainFloat(value) : ToHalf(value);
}
