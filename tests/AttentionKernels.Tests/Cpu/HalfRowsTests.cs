using AttentionKernels.Cpu;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cpu;

public sealed unsafe class HalfRowsTests
{
    /// <summary>All 65536 values, in blocks of every length up to 17, so that each value passes the vector loop and the scalar rest.</summary>
    [Fact]
    public void Every_Value_Widens_Exactly()
    {
        Half[] all = [.. Enumerable.Range(0, 65536).Select(i => BitConverter.UInt16BitsToHalf((ushort)i))];
        using GuardedBuffer source = GuardedBuffer.Of<Half>(all);
        for (int count = 1; count <= 17; count++)
        {
            using GuardedBuffer target = new(65536 * sizeof(float));
            for (int i = 0; i < all.Length; i += count)
            {
                HalfRows.Widen((Half*)source.Data + i, (float*)target.Data + i, Math.Min(count, all.Length - i));
            }
            target.CheckMargins("target", $"blocks of {count}");
            Span<float> actual = target.Span<float>();
            for (int i = 0; i < all.Length; i++)
            {
                float expected = (float)all[i];
                bool same = float.IsNaN(expected) ? float.IsNaN(actual[i]) : BitConverter.SingleToInt32Bits(expected) == BitConverter.SingleToInt32Bits(actual[i]);
                if (!same)
                {
                    Assert.Fail($"0x{i:x4} widens to {actual[i]:R}, expected {expected:R}");
                }
            }
        }
    }
}
