using System.Diagnostics;
using AttentionKernels.Cli.Report;
using AttentionKernels.Cli.Tokenizers;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.Scenes;

namespace AttentionKernels.Cli.Run;

/// <summary>The tool's main job: a scene through a decoder, as it is, measured and steered.</summary>
internal static class SceneRunner
{
    // Differences up to this many times what one rounding step of the embeddings causes are rounding: the two engines sum every row of every
    // rewritten layer in another order, which is many steps, not one.
    private const double RoundingMargin = 16;

    // No further round of timed runs begins if it would end later than this: a busy machine or a large model gets fewer rounds, not a long wait.
    private static readonly TimeSpan TimeForRounds = TimeSpan.FromSeconds(20);

    // Ids of the word tokenizer choose rows of synthetic embeddings, nothing else.
    private const int WordIds = 1 << 16;

    /// <summary>Runs a request.</summary>
    /// <param name="request">What to run.</param>
    /// <param name="progress">Told what happens next, before it does.</param>
    /// <param name="cancellation">Ends the run.</param>
    /// <exception cref="RunException">The model, the scene or the embeddings do not fit together.</exception>
    /// <exception cref="SceneException">The scene or the tokenizer's files are not usable.</exception>
    /// <exception cref="OnnxModelException">The model cannot be rewritten.</exception>
    /// <exception cref="AttentionKernels.OnnxRuntime.OrtException">ONNX Runtime refuses a model, or a run fails.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellation"/> was cancelled.</exception>
    public static RunReport Run(RunRequest request, IProgress<string> progress, CancellationToken cancellation)
    {
        DecoderModel model = request.Model;
        SteeringSettings steering = request.Steering;
        SceneTokens tokens = LayOut(request);
        float[] embeddings = Embed(request, tokens);

        progress.Report("rewriting the model");
        SteeringRewrite rewrite = new()
        {
            Layers = steering.Layers ?? PaperLayers.Of(model.Layers),
            Alpha = steering.Alpha,
            Lambda = steering.Lambda,
            ClampNegative = steering.ClampNegative,
        };
        RewrittenModel measured = model.Rewrite(rewrite with { Policy = "none" });
        RewrittenModel? steered = steering.Steer ? model.Rewrite(rewrite) : null;
        cancellation.ThrowIfCancellationRequested();

        using PrefillComparison prefills = new(model, tokens, embeddings, measured, steered, request.Threads, cancellation);
        bool interleaved = prefills.FitTogether;
        foreach (Variant[] group in interleaved ? [[.. prefills.Variants]] : prefills.Variants.Select(variant => (Variant[])[variant]))
        {
            Compare(prefills, group, request.Rounds, progress);
        }
        return new RunReport(
            MachineReport.Read(),
            Describe(model),
            Describe(request, [.. measured.Layers.Select(layer => layer.Index)]),
            SceneReport.Of(request.Scene, tokens),
            [.. measured.Layers.Select(layer => Describe(layer, prefills, steering))],
            Describe(prefills, interleaved),
            Check(prefills));
    }

    /// <summary>A scene as the tokens of a request, without running anything.</summary>
    /// <exception cref="SceneException">The scene or the tokenizer's files are not usable.</exception>
    public static SceneTokens LayOut(Scene scene, string? tokenizerFolder, BoxRule rule)
    {
        ITextTokenizer tokenizer = tokenizerFolder == null
            ? new WordTokenizer(WordIds)
            : QwenTokenizer.Load(Path.Combine(tokenizerFolder, "vocab.json"), Path.Combine(tokenizerFolder, "merges.txt"));
        return SceneTokens.Create(scene, VisualGeometry.Qwen25Vl(scene.Video), tokenizer, rule: rule);
    }

    private static SceneTokens LayOut(RunRequest request) => LayOut(request.Scene.Scene, request.TokenizerFolder, request.BoxRule);

    private static float[] Embed(RunRequest request, SceneTokens tokens)
    {
        int hidden = request.Model.Inputs.Hidden;
        return request.EmbeddingsPath == null
            ? TokenEmbeddings.Synthetic(tokens, request.Model.Generated ?? new DecoderConfig { Hidden = hidden })
            : TokenEmbeddings.Load(request.EmbeddingsPath, tokens.Length, hidden);
    }

    private static void Compare(PrefillComparison prefills, Variant[] group, int rounds, IProgress<string> progress)
    {
        foreach (Variant variant in group)
        {
            progress.Report($"loading and warming up: {NameOf(variant)}");
            prefills.Open(variant);
            prefills.RunFirst(variant);
        }
        long start = Stopwatch.GetTimestamp();
        for (int round = 1; round <= rounds && Stopwatch.GetElapsedTime(start) * round / Math.Max(1, round - 1) <= TimeForRounds; round++)
        {
            foreach (Variant variant in group)
            {
                progress.Report($"timed run {round} of {rounds}: {NameOf(variant)}");
                prefills.RunTimed(variant);
            }
        }
        foreach (Variant variant in group)
        {
            prefills.Close(variant);
        }
    }

    /// <summary>What people read.</summary>
    public static string NameOf(Variant variant) => variant switch
    {
        Variant.BuiltIn => "ONNX Runtime built-in",
        Variant.Measured => "SteeredAttention, measured only",
        _ => "SteeredAttention, steered",
    };

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
