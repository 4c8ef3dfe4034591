using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>The epilogue alone, on partials that attention seldom leaves.</summary>
[Trait(TestDevice.Trait, TestDevice.Yes)]
public sealed class SocialBiasKernelTests
{
    private const int Heads = 3, Size = 37;

    [Theory]
    [InlineData(1f, false, false)]
    [InlineData(1f, true, true)]
    [InlineData(-0.5f, false, true)]
    [InlineData(0f, false, true)]
    [InlineData(3e38f, false, false)]
    public void Rows_Are_Those_Of_Float64(float alpha, bool clamp, bool hasSink)
    {
        Random random = new(17);
        int[] starts = [0, 5, 5, 70];
        int batch = starts.Length - 1, spoken = starts[^1];
        int[] rowOf = [.. Enumerable.Range(0, 5), .. Enumerable.Range(2, 65)];
        SpokenPartials[] partials = [.. Enumerable.Range(0, Heads * spoken).Select(n => n == 3 ? SpokenPartials.Unseen : SpokenPartials.Random(random))];
        float[] gates = [.. Enumerable.Range(0, batch * Heads).Select(n => n % 3 == 0 ? 0f : 1f)], sinks = [0f, -30f, 25f];
        float[] outputs = [.. Enumerable.Range(0, Heads * spoken * 2 * Size).Select(_ => (float)random.NextDouble() - 0.5f)];
        using TestKernels run = new();

        // What an empty class left in memory must not be read.
        for (int n = 0; n < partials.Length; n++)
        {
            outputs.AsSpan(n * 2 * Size, partials[n].SumAligned == 0 ? Size : 0).Fill(float.NaN);
            outputs.AsSpan(((n * 2) + 1) * Size, partials[n].SumRest == 0 ? Size : 0).Fill(float.NaN);
        }
        const int Length = 70;
        long output = run.Output<float>("output", batch * Heads * Length * Size);
        run.Run(
            "SocialBias_f32", ((spoken + 3) / 4, Heads, 1),
            ("stats", run.Input("stats", partials.SelectMany(p => p.Stats).ToArray())), ("outputs", run.Input("outputs", outputs)),
            ("output", output), ("outputBatchStride", Heads * Length * Size), ("outputHeadStride", Size), ("outputTokenStride", Heads * Size),
            ("spokenStart", run.Input("spoken start", starts)), ("spokenRow", run.Input("spoken row", rowOf)), ("gates", run.Input("gates", gates)),
            ("headSink", hasSink ? run.Input("head sink", sinks) : 0), ("lambda", 0.5), ("alpha", alpha), ("clampNegative", clamp ? 1 : 0),
            ("heads", Heads), ("spoken", spoken), ("valueHeadSize", Size));

        float[] rows = TestKernels.Read<float>(output, batch * Heads * Length * Size);
        bool[] written = new bool[batch * Heads * Length];
        for (int h = 0; h < Heads; h++)
        {
            for (int u = 0; u < spoken; u++)
            {
                int b = u < 5 ? 0 : 2, n = (h * spoken) + u, row = (((b * Length) + rowOf[u]) * Heads) + h;
                written[row] = true;
                double sink = hasSink ? sinks[h] * 1.44269504f : double.NegativeInfinity;
                double used = gates[(b * Heads) + h] > 0.5f ? alpha : 0;
                (double aligned, double rest, _, _, _) = partials[n].Weights(sink, used, clamp);
                double budget = partials[n].Budget(sink, used, clamp);
                for (int d = 0; d < Size; d++)
                {
                    double a = partials[n].SumAligned == 0 ? 0 : outputs[(n * 2 * Size) + d] * aligned;
                    double r = partials[n].SumRest == 0 ? 0 : outputs[(((n * 2) + 1) * Size) + d] * rest;
                    double actual = rows[(row * Size) + d];
                    bool same = double.IsNaN(a + r) ? double.IsNaN(actual) : Math.Abs(actual - (a + r)) <= budget * (Math.Abs(a) + Math.Abs(r));
                    Assert.True(same, $"row {u} of head {h}, element {d} is {actual:R}, expected {a + r:R} within {budget:E1} relative; {partials[n]}");
                }
            }
        }
        for (int row = 0; row < written.Length; row++)
        {
            Assert.True(written[row] || rows.AsSpan(row * Size, Size).IndexOfAnyExcept(float.NaN) < 0, $"row {row} is not in U and was written");
        }
    }

    [Theory]
    [InlineData("f16", ElementType.Float16)]
    [InlineData("bf16", ElementType.BFloat16)]
    public void Rows_Are_Rounded_To_The_Output_Type(string name, ElementType type)
    {
        using TestKernels run = new();
        float[] rest = [1.0009765f, -3.1415927f, 65504, 1e-7f];
        long output = run.Output<ushort>("output", 4);
        run.Run(
            $"SocialBias_{name}", (1, 1, 1),
            ("stats", run.Input("stats", new SpokenPartials(float.NegativeInfinity, 0, 3, 1, 0, float.NegativeInfinity).Stats)),
            ("outputs", run.Input<float>("outputs", [float.NaN, float.NaN, float.NaN, float.NaN, .. rest])),
            ("output", output), ("spokenStart", run.Input<int>("spoken start", [0, 1])), ("spokenRow", run.Input<int>("spoken row", [0])),
            ("gates", run.Input<float>("gates", [1])), ("lambda", 0), ("alpha", 1), ("heads", 1), ("spoken", 1), ("valueHeadSize", 4));
        ushort[] bits = TestKernels.Read<ushort>(output, 4);
        for (int d = 0; d < 4; d++)
        {
            float actual = type == ElementType.Float16 ? (float)BitConverter.UInt16BitsToHalf(bits[d]) : BitConverter.Int32BitsToSingle(bits[d] << 16);
            Assert.Equal(Tolerance.Rounded(type, rest[d]), actual);
        }
    }
}
