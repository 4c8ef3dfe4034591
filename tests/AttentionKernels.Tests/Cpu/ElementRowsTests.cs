using AttentionKernels.Cpu;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cpu;

public sealed unsafe class ElementRowsTests
{
    /// <summary>All 65536 values, in blocks of every length up to 17, so that each value passes the vector loop and the scalar rest.</summary>
    [Theory]
    [InlineData(ElementType.Float16)]
    [InlineData(ElementType.BFloat16)]
    public void Every_Value_Widens_Exactly(ElementType type)
    {
        using GuardedBuffer source = GuardedBuffer.Of<ushort>([.. Enumerable.Range(0, 65536).Select(i => (ushort)i)]);
        for (int count = 1; count <= 17; count++)
        {
            using GuardedBuffer target = new(65536 * sizeof(float));
            for (int i = 0; i < 65536; i += count)
            {
                ElementRows.Widen(type, (ushort*)source.Data + i, (float*)target.Data + i, Math.Min(count, 65536 - i));
            }
            target.CheckMargins("target", $"blocks of {count}");
            Span<float> actual = target.Span<float>();
            for (int i = 0; i < 65536; i++)
            {
                float expected = type.Load(source.Data, i);
                bool same = float.IsNaN(expected) ? float.IsNaN(actual[i]) : BitConverter.SingleToInt32Bits(expected) == BitConverter.SingleToInt32Bits(actual[i]);
                if (!same)
                {
                    Assert.Fail($"0x{i:x4} widens to {actual[i]:R}, expected {expected:R}");
                }
            }
        }
    }

    /// <summary>
    /// Every number of the type, every midpoint of two and its neighbours in float32, infinities and NaNs with any mantissa: the nearest number, and of
    /// two the one with an even mantissa. In blocks of 8 and of 1, for the vector loop and the scalar rest.
    /// </summary>
    [Theory]
    [InlineData(ElementType.Float16)]
    [InlineData(ElementType.BFloat16)]
    public void Values_Round_To_The_Nearest_And_To_Even(ElementType type)
    {
        ushort[] magnitudes = [.. Enumerable.Range(0, 0x8000).Select(i => (ushort)i)];
        float[] numbers = new float[magnitudes.Length];
        fixed (ushort* bits = magnitudes)
        fixed (float* target = numbers)
        {
            ElementRows.Widen(type, bits, target, numbers.Length);
        }
        List<(float Value, ushort Expected)> cases = [];
        int infinity = Array.FindIndex(numbers, float.IsPositiveInfinity);
        for (int i = 0; i < infinity; i++)
        {
            // Beyond the largest number, infinity stands where the next one would.
            double next = i + 1 < infinity ? numbers[i + 1] : (2.0 * numbers[i]) - numbers[i - 1];
            float middle = (float)((numbers[i] + next) / 2);
            cases.AddRange([(numbers[i], (ushort)i), (middle, (ushort)((i + 1) & ~1)), (MathF.BitDecrement(middle), (ushort)i), (MathF.BitIncrement(middle), (ushort)(i + 1))]);
        }
        cases.AddRange([(float.PositiveInfinity, (ushort)infinity), (float.MaxValue, (ushort)infinity)]);
        foreach (int block in (int[])[8, 1])
        {
            foreach (float sign in (float[])[1, -1])
            {
                float[] values = [.. cases.Select(c => c.Value * sign)];
                ushort[] actual = Narrow(type, values, block);
                for (int i = 0; i < values.Length; i++)
                {
                    int expected = cases[i].Expected | (sign < 0 ? 0x8000 : 0);
                    Assert.True(actual[i] == expected, $"{values[i]:R} rounds to 0x{actual[i]:x4}, expected 0x{expected:x4}");
                }
            }

            uint[] mantissas = [0x7fc00000, 0xffc00000, 0x7f800001, 0xff800001, 0x7fffffff, 0xffffffff, 0x7f808000, 0x7fbfffff];
            Assert.All(Narrow(type, [.. mantissas.Select(BitConverter.UInt32BitsToSingle)], block), n => Assert.True((n & 0x7fff) > infinity, $"NaN becomes 0x{n:x4}"));
        }
    }

    private static ushort[] Narrow(ElementType type, float[] values, int block)
    {
        using GuardedBuffer source = GuardedBuffer.Of<float>(values), target = new(values.Length * sizeof(ushort));
        for (int i = 0; i < values.Length; i += block)
        {
            ElementRows.Narrow(type, (float*)source.Data + i, (ushort*)target.Data + i, Math.Min(block, values.Length - i));
        }
        target.CheckMargins("target", $"blocks of {block}");
        return target.Span<ushort>().ToArray();
    }
}
