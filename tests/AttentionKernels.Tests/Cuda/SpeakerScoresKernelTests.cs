namespace AttentionKernels.Tests.Cuda;

/// <summary>Scores by speaker alone: sums over more entries than a block has threads, speakers without any.</summary>
[Trait(TestDevice.Trait, TestDevice.Yes)]
public sealed class SpeakerScoresKernelTests
{
    private const int Heads = 2, Batch = 2, Speakers = 3, Spoken = 200;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Scores_Are_Means_Of_Float64(bool hasSink)
    {
        Random random = new(hasSink ? 3 : 4);
        SpokenPartials[] partials = [.. Enumerable.Range(0, Heads * Spoken).Select(_ => Row(random))];
        int[] counts = [150, 0, 3, 1, 129, 40], start = [.. Enumerable.Range(0, counts.Length + 1).Select(n => counts.Take(n).Sum())];
        int[] rows = [.. Enumerable.Range(0, start[^1]).Select(_ => random.Next(Spoken))];
        float[] pairs = [7000, 0, 9, 5, 1000, 123], sinks = [1f, -3f];
        using TestKernels kernels = new();
        long scores = kernels.Output<float>("speaker scores", Batch * Heads * Speakers);
        kernels.Run(
            "SpeakerScores", (Heads, Batch, Speakers),
            ("stats", kernels.Input("stats", partials.SelectMany(p => p.Stats).ToArray())), ("speakerStart", kernels.Input("speaker start", start)), ("speakerRows", kernels.Input("speaker rows", rows)),
            ("speakerPairs", kernels.Input("speaker pairs", pairs)), ("headSink", hasSink ? kernels.Input("head sink", sinks) : 0), ("speakerScores", scores), ("spoken", Spoken));
        float[] actual = TestKernels.Read<float>(scores, Batch * Heads * Speakers);
        for (int n = 0; n < actual.Length; n++)
        {
            int speaker = n % Speakers, h = n / Speakers % Heads, group = (n / Speakers / Heads * Speakers) + speaker;
            double sink = hasSink ? sinks[h] * 1.44269504f : double.NegativeInfinity, mass = 0, budget = 1e-6;
            foreach (int row in rows[start[group]..start[group + 1]])
            {
                mass += partials[(h * Spoken) + row].Weights(sink, 0, false).AlignedMass;
                budget = Math.Max(budget, partials[(h * Spoken) + row].Budget(sink, 0, false));
            }
            double expected = pairs[group] == 0 ? 0 : mass / pairs[group];
            Assert.True(Math.Abs(actual[n] - expected) <= budget * expected, $"score {n} is {actual[n]:R}, expected {expected:R} within {budget:E1} relative");
        }
    }

    private static SpokenPartials Row(Random random)
    {
        SpokenPartials row;
        do
        {
            row = SpokenPartials.Random(random);
        }
        while (float.IsNaN(row.SumRest));
        return row;
    }
}
