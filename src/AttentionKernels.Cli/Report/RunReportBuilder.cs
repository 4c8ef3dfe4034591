using AttentionKernels.Cli.Run;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.Scenes;

namespace AttentionKernels.Cli.Report;

/// <summary>Makes a report of finished prefills.</summary>
internal static class RunReportBuilder
{
    // Differences up to this many times what one rounding step of the embeddings causes are rounding: the two engines sum every row of every
    // rewritten layer in another order, which is many steps, not one.
    private const double RoundingMargin = 16;

    /// <summary>Makes the report.</summary>
    /// <param name="request">What was asked.</param>
    /// <param name="tokens">The scene as it was fed.</param>
    /// <param name="layers">The rewritten layers.</param>
    /// <param name="prefills">Every form has had its first and at least one timed run.</param>
    /// <param name="interleaved">Whether the forms took turns.</param>
    public static RunReport Build(RunRequest request, SceneTokens tokens, IReadOnlyList<SteeredLayer> layers, PrefillComparison prefills, bool interleaved) => new(
        MachineReport.Read(),
        Describe(request.Model),
        Describe(request, [.. layers.Select(layer => layer.Index)]),
        SceneReport.Of(request.Scene, tokens),
        [.. layers.Select(layer => Describe(layer, prefills, request.Steering))],
        Describe(prefills, interleaved),
        Check(prefills));

    private static ModelReport Describe(DecoderModel model) => new(
        model.Name,
        model.Generated != null,
        model.Attention.Count,
        model.Heads,
        model.KvHeads,
        model.Inputs.Hidden,
        model.Inputs.IsHalf ? "float16" : "float32",
        model.Parameters);

    private static SettingsReport Describe(RunRequest request, IReadOnlyList<int> layers) => new(
        request.Steering.Steer ? "social" : "none",
        layers,
        request.Steering.Alpha,
        request.Steering.Lambda,
        request.Steering.ClampNegative,
        request.BoxRule.ToString(),
        request.TokenizerFolder ?? "words",
        request.EmbeddingsPath ?? "synthetic",
        request.Threads);

    private static LayerReport Describe(SteeredLayer layer, PrefillComparison prefills, SteeringSettings steering)
    {
        (float[] scores, float[] alignment) = prefills.Layers[(steering.Steer ? Variant.Steered : Variant.Measured, layer.Index)];
        (float[] measuredScores, _) = prefills.Layers[(Variant.Measured, layer.Index)];
        HeadReport[] heads =
        [
            .. Enumerable.Range(0, layer.Heads).Select(h => new HeadReport(
                h,
                scores[h],
                measuredScores[h],
                scores[h] > steering.Lambda,
                new AlignmentReport(alignment[4 * h], alignment[(4 * h) + 1], alignment[(4 * h) + 2], alignment[(4 * h) + 3]))),
        ];
        HeadReport[] active = [.. heads.Where(head => head.Active)];
        AlignmentReport? mean = active.Length == 0
            ? null
            : new AlignmentReport(
                active.Average(head => head.Alignment.MeanBefore),
                active.Average(head => head.Alignment.MeanAfter),
                active.Average(head => head.Alignment.MaxBefore),
                active.Average(head => head.Alignment.MaxAfter));
        return new LayerReport(layer.Index, layer.Node, active.Length, heads.Length, mean, heads);
    }

    private static TimeReport Describe(PrefillComparison prefills, bool interleaved)
    {
        int rounds = prefills.Times.Values.Min(runs => runs.Count);
        double builtIn = Median(prefills.Times[Variant.BuiltIn]);
        VariantTime? Time(Variant variant) => prefills.Times.TryGetValue(variant, out List<double>? runs)
            ? new VariantTime(Median(runs), Median(runs) / builtIn, runs)
            : null;
        return new TimeReport(rounds, interleaved, Time(Variant.BuiltIn)!, Time(Variant.Measured)!, Time(Variant.Steered));
    }

    private static CheckReport Check(PrefillComparison prefills)
    {
        double allowed = RoundingMargin * prefills.OneStep.Largest;
        LogitDifference rewriting = prefills.Differences[Variant.Measured];
        LogitDifference? steering = prefills.Differences.TryGetValue(Variant.Steered, out LogitDifference difference) ? difference : null;
        return new CheckReport(rewriting.Largest <= allowed, rewriting, prefills.OneStep.Largest, allowed, steering, prefills.Size);
    }

    private static double Median(IReadOnlyList<double> runs)
    {
        double[] sorted = [.. runs.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
