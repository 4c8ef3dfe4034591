using AttentionKernels.OnnxRuntime.Graph;

namespace AttentionKernels.Tests.OnnxRuntime.Graph;

/// <summary>The habits that the demo's weights are given by hand.</summary>
public sealed class PlantedHeadsTests
{
    private const double Lambda = 5e-5;

    [Fact]
    public void Reserved_Dimensions_Hold_The_Sink_And_The_Code_And_Nothing_Else()
    {
        foreach (int size in (int[])[8, 16, 24, 64, 128])
        {
            DecoderConfig config = new() { HeadSize = size, Hidden = 2 * size };
            int[] used =
            [
                PlantedHeads.SinkDimension(config), PlantedHeads.SinkDimension(config) + (size / 2),
                .. Enumerable.Range(0, PlantedHeads.CodeLength(config)).Select(i => PlantedHeads.CodeDimension(config, i)),
            ];
            Assert.Equal(used.Order(), Enumerable.Range(0, size).Where(d => PlantedHeads.IsReserved(config, d)));
        }
    }

    [Fact]
    public void Speakers_Have_Codes_And_Shared_Boxes_Have_Both()
    {
        DecoderConfig config = DecoderConfig.Demo;
        float[][] codes = [.. new long[] { 1, 2, 3, 0 }.Select(speakers =>
        {
            float[] row = new float[config.Hidden];
            PlantedHeads.WriteCode(config, speakers, row);
            return row;
        })];
        float Dot(int a, int b) => codes[a].Zip(codes[b], (x, y) => x * y).Sum();
        int length = PlantedHeads.CodeLength(config);
        Assert.Equal(length, Dot(0, 0));
        Assert.True(Math.Abs(Dot(0, 1)) < length);
        Assert.True(Dot(0, 2) > 0 && Dot(1, 2) > 0);
        Assert.All(codes[3], x => Assert.Equal(0, x));
    }

    /// <summary>
    /// The demo's decoder on a clip of the demo's size: heads differ, 10 to 30 % pass the paper's threshold, logits are neither flat nor spiky, and without
    /// what is planted every head would pass.
    /// </summary>
    [Fact]
    public void Ten_To_Thirty_Percent_Of_The_Demo_Heads_Are_Active()
    {
        DecoderConfig config = DecoderConfig.Demo with { ExportQueries = true };
        (double[] scores, double[] spreads) = Measure(config, slots: 4, rows: 13, columns: 23, words: 384);

        Assert.InRange(scores.Count(score => score > Lambda) / (double)scores.Length, 0.10, 0.30);
        Assert.True(scores.Max() > 100 * scores.Order().ElementAt(scores.Length / 2), "heads differ by orders of magnitude");
        Assert.InRange(spreads.Average(), 1, 2);
    }

    [Fact]
    public void Without_Planting_Every_Head_Is_Active()
    {
        DecoderConfig config = DecoderConfig.Demo with { Layers = 2, PlantHeads = false, ExportQueries = true };
        (double[] scores, _) = Measure(config, slots: 1, rows: 13, columns: 23, words: 80);
        Assert.All(scores, score => Assert.True(score > Lambda));
    }

    /// <summary>For each head: the score of the design, and the standard deviation of a row's logits, the sink left out.</summary>
    private static (double[] Scores, double[] Spreads) Measure(DecoderConfig config, int slots, int rows, int columns, int words)
    {
        DecoderInput input = DecoderInput.Create(config, prompt: 20, slots, rows, columns, words);
        (int[] spoken, int[] boxed) = input.Roles();
        spoken = [.. spoken.Where((_, i) => i % 8 == 0)]; // a sample: the mean of all rows is hardly different
        using DecoderSession session = new(config);
        Dictionary<string, float[]> outputs = session.Run(input, [.. Enumerable.Range(0, config.Layers).Select(i => $"query.{i}")]);

        double[] scores = new double[config.Layers * config.Heads];
        double[] spreads = new double[scores.Length];
        for (int layer = 0; layer < config.Layers; layer++)
        {
            float[] queries = outputs[$"query.{layer}"], keys = session.Keys(layer);
            Parallel.For(0, config.Heads, head =>
            {
                int kv = head / (config.Heads / config.KvHeads), i = (layer * config.Heads) + head;
                foreach (int row in spoken)
                {
                    ReadOnlySpan<float> query = queries.AsSpan(((row * config.Heads) + head) * config.HeadSize, config.HeadSize);
                    double[] logits = new double[row + 1];
                    for (int j = 0; j <= row; j++)
                    {
                        ReadOnlySpan<float> key = keys.AsSpan(((kv * input.Length) + j) * config.HeadSize, config.HeadSize);
                        float dot = 0;
                        for (int d = 0; d < query.Length; d++)
                        {
                            dot += query[d] * key[d];
                        }
                        logits[j] = dot / Math.Sqrt(config.HeadSize);
                    }
                    double max = logits.Max(), sum = logits.Sum(s => Math.Exp(s - max)), mean = logits.Skip(1).Average();
                    scores[i] += boxed.Sum(j => Math.Exp(logits[j] - max)) / sum / spoken.Length / boxed.Length;
                    spreads[i] += Math.Sqrt(logits.Skip(1).Average(s => (s - mean) * (s - mean))) / spoken.Length;
                }
            });
        }
        return (scores, spreads);
    }
}
