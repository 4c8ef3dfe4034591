namespace AttentionKernels;

/// <summary>A bfloat16 number: the upper half of a float32. .NET 10 has no such type.</summary>
/// <param name="Bits">Sign, 8 bits of exponent, 7 of mantissa.</param>
internal readonly record struct BFloat16(ushort Bits)
{
    /// <summary>Widens, exactly.</summary>
    public static explicit operator float(BFloat16 value) => BitConverter.UInt32BitsToSingle((uint)value.Bits << 16);

    /// <summary>Rounds to nearest, ties to even. NaN stays NaN: rounding could carry its mantissa into infinity, so that it is cut and made quiet.</summary>
    public static explicit operator BFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return new((ushort)((float.IsNaN(value) ? bits | 0x400000 : bits + 0x7fff + ((bits >> 16) & 1)) >> 16));
    }
}
