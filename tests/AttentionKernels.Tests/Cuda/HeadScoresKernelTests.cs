namespace AttentionKernels.Tests.Cuda;

/// <summary>The gate alone: sums over more rows than a block has threads, elements without rows, partials that attention seldom leaves.</summary>
[Trait(TestDevice.Trait, TestDevice.Yes)]
public sealed class HeadScoresKernelTests
{
    private const int Heads = 2;

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void Scores_And_Alignment_Are_Those_Of_Float64(bool hasSink, bool hasScoresIn)
    {
        Random random = new(hasSink ? 5 : 6);
        int[] starts = [0, 300, 300, 331], boxed = [40, 7, 0], alignedKeys = [0, 3, 11];
        int batch = starts.Length - 1, spoken = starts[^1];
        int[] run = [.. Enumerable.Range(0, spoken).Select(u => u / 5 % alignedKeys.Length)];
        SpokenPartials[] partials = [.. Enumerable.Range(0, Heads * spoken).Select(n => Row(random, alignedKeys[run[n % spoken]]))];
        float[] sinks = [1f, 3f], scoresIn = [0.1f, 1e-6f, 0, 0, 1, float.NaN];
        const float Lambda = 5e-5f;
        using TestKernels kernels = new();
        long scores = kernels.Output<float>("head scores", batch * Heads), alignment = kernels.Output<float>("alignment", batch * Heads * 4);
        kernels.Run(
            "HeadScores", (Heads, batch, 1),
            ("stats", kernels.Input("stats", partials.SelectMany(p => p.Stats).ToArray())), ("spokenStart", kernels.Input("spoken start", starts)),
            ("boxedCount", kernels.Input("boxed count", boxed)), ("run", kernels.Input("run", run)), ("alignedKeys", kernels.Input("aligned keys", alignedKeys)),
            ("headSink", hasSink ? kernels.Input("head sink", sinks) : 0), ("headScoresIn", hasScoresIn ? kernels.Input("scores in", scoresIn) : 0),
            ("headScores", scores), ("alignment", alignment), ("lambda", Lambda), ("alpha", 1), ("heads", Heads), ("spoken", spoken));

        float[] actualScores = TestKernels.Read<float>(scores, batch * Heads), actual = TestKernels.Read<float>(alignment, batch * Heads * 4);
        for (int b = 0; b < batch; b++)
        {
            for (int h = 0; h < Heads; h++)
            {
                double sink = hasSink ? sinks[h] * 1.44269504f : double.NegativeInfinity, mass = 0, budget = 1e-6;
                double[] metrics = new double[4];
                int counted = 0;
                for (int u = starts[b]; u < starts[b + 1]; u++)
                {
                    SpokenPartials row = partials[(h * spoken) + u];
                    (_, _, double aligned, double visual, double largest) = row.Weights(sink, 0, false);
                    (_, _, double raised, _, double raisedLargest) = row.Weights(sink, 1, false);
                    mass += visual;
                    int keys = alignedKeys[run[u]];
                    if (keys > 0)
                    {
                        counted++;
                        metrics[0] += aligned / keys;
                        metrics[1] += raised / keys;
                        metrics[2] += largest;
                        metrics[3] += raisedLargest;
                        budget = Math.Max(budget, row.Budget(sink, 1, false));
                    }
                }
                double pairs = (double)(starts[b + 1] - starts[b]) * boxed[b], score = pairs == 0 ? 0 : mass / pairs;
                bool active = (hasScoresIn ? scoresIn[(b * Heads) + h] : score) > Lambda;
                Same(score, actualScores[(b * Heads) + h], 1e-6, $"score of head {h} of element {b}");
                for (int n = 0; n < 4; n++)
                {
                    double expected = metrics[active ? n : n & 2] / Math.Max(counted, 1);
                    Same(expected, actual[(((b * Heads) + h) * 4) + n], budget, $"alignment {n} of head {h} of element {b}");
                }
            }
        }

        static void Same(double expected, double actual, double budget, string what) =>
            Assert.True(Math.Abs(actual - expected) <= budget * Math.Abs(expected), $"{what} is {actual:R}, expected {expected:R} within {budget:E1} relative");
    }

    [Fact]
    public void Nan_In_One_Row_Makes_The_Score_Nan_And_The_Head_Inactive()
    {
        SpokenPartials[] partials = [new(1, 1, 2, 1, 0.5f, 1), new(1, float.NaN, 2, 1, 0.5f, 1)];
        using TestKernels kernels = new();
        long scores = kernels.Output<float>("head scores", 1), alignment = kernels.Output<float>("alignment", 4);
        kernels.Run(
            "HeadScores", (1, 1, 1),
            ("stats", kernels.Input("stats", partials.SelectMany(p => p.Stats).ToArray())), ("spokenStart", kernels.Input<int>("spoken start", [0, 2])),
            ("boxedCount", kernels.Input<int>("boxed count", [4])), ("run", kernels.Input<int>("run", [0, 0])), ("alignedKeys", kernels.Input<int>("aligned keys", [2])),
            ("headScores", scores), ("alignment", alignment), ("lambda", -1), ("alpha", 1), ("heads", 1), ("spoken", 2));
        Assert.True(float.IsNaN(TestKernels.Read<float>(scores, 1)[0]));
        Assert.All(TestKernels.Read<float>(alignment, 4), x => Assert.True(float.IsNaN(x)));
    }

    // A row with no aligned key by role has none in its partials, either.
    private static SpokenPartials Row(Random random, int alignedKeys)
    {
        SpokenPartials row;
        do
        {
            row = SpokenPartials.Random(random);
        }
        while (float.IsNaN(row.SumRest) || (alignedKeys == 0 && row.SumAligned > 0));
        return row;
    }
}
