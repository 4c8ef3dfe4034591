using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>Masks as biases: each element is one sum, rounded once.</summary>
[Trait(TestDevice.Trait, TestDevice.Yes)]
public sealed unsafe class MaskBiasKernelTests
{
    private const int Batch = 2, Heads = 3, Rows = 2, Keys = 1100; // more keys than a block has

    [Theory]
    [InlineData(ElementType.Float32, -10000f)]
    [InlineData(ElementType.Float16, -65504f)]
    [InlineData(ElementType.BFloat16, float.NegativeInfinity)]
    public void Numbers_Hide_Keys_Beside_A_Bias(ElementType type, float filter)
    {
        Random random = new(7);
        int[] mask = [.. Enumerable.Range(0, Batch * Rows * Keys).Select(_ => random.Next(-1, 3))];
        // One matrix for all heads.
        float[] bias = [.. Enumerable.Range(0, Batch * Rows * Keys).Select(_ => Tolerance.Rounded(type, (random.NextSingle() * 80) - 40))];
        using TestKernels run = new();
        long given = run.Input("bias", Bytes(type, bias)), sum = run.Output<byte>("sum", Batch * Heads * Rows * Keys * type.Size());
        run.Run(
            $"MaskBias_{Name(type)}", (Batch * Heads * Rows, 2, 1),
            ("mask", run.Input("mask", mask)), ("maskBatchStride", Rows * Keys), ("maskTokenStride", Keys), ("bias", given), ("biasBatchStride", Rows * Keys), ("biasTokenStride", Keys), ("sum", sum),
            ("maskBytes", 4), ("heads", Heads), ("queryLength", Rows), ("keyLength", Keys), ("filter", filter));
        for (int n = 0; n < Batch * Heads * Rows * Keys; n++)
        {
            int at = (n / Keys / Rows / Heads * Rows * Keys) + (n % (Rows * Keys));
            // A float16 that would become -inf stays a number: two numbers hide nothing for good.
            float all = bias[at] + (mask[at] > 0 ? 0 : filter), lowest = type == ElementType.Float16 ? (float)Half.MinValue : float.NegativeInfinity;
            float expected = Tolerance.Rounded(type, Math.Max(all, lowest)), actual = type.Load((void*)sum, n);
            Assert.True(expected == actual, $"sum[{n}] is {actual:R}, expected {expected:R}");
        }
    }

    [Theory]
    [InlineData(ElementType.Float32)]
    [InlineData(ElementType.Float16)]
    [InlineData(ElementType.BFloat16)]
    public void A_Bool_Mask_Becomes_Zero_And_Minus_Infinity(ElementType type)
    {
        Random random = new(8);
        bool[] mask = [.. Enumerable.Range(0, Rows * Keys).Select(_ => random.Next(2) == 0)];
        using TestKernels run = new();
        long sum = run.Output<byte>("sum", Rows * Keys * type.Size());
        run.Run(
            $"MaskBias_{Name(type)}", (Rows, 2, 1),
            ("mask", run.Input("mask", mask)), ("maskBatchStride", Keys), ("sum", sum), ("maskBytes", 1), ("heads", 1), ("queryLength", 1), ("keyLength", Keys), ("filter", float.NegativeInfinity));
        for (int n = 0; n < mask.Length; n++)
        {
            Assert.Equal(mask[n] ? 0 : float.NegativeInfinity, type.Load((void*)sum, n));
        }
    }

    private static string Name(ElementType type) => type switch { ElementType.Float16 => "f16", ElementType.BFloat16 => "bf16", _ => "f32" };

    private static byte[] Bytes(ElementType type, float[] values)
    {
        byte[] bytes = new byte[values.Length * type.Size()];
        fixed (byte* target = bytes)
        {
            for (int i = 0; i < values.Length; i++)
            {
                type.Store(target, i, values[i]);
            }
        }
        return bytes;
    }
}
