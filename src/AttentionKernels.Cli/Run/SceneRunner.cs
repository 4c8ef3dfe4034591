using System.Diagnostics;
using AttentionKernels.Cli.Report;
using AttentionKernels.Cli.Tokenizers;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.Scenes;

namespace AttentionKernels.Cli.Run;

/// <summary>The tool's main job: a scene through a decoder, as it is, measured and steered.</summary>
internal static class SceneRunner
{
    // No further round of timed runs begins if it would end later than this, counted from the first load: a busy machine or a large model gets
    // fewer rounds, not a long wait.
    private static readonly TimeSpan TimeForRounds = TimeSpan.FromSeconds(40);

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
        bool interleaved = prefills.Memory <= request.Memory;
        foreach (Variant[] group in interleaved ? [[.. prefills.Variants]] : prefills.Variants.Select(variant => (Variant[])[variant]))
        {
            Compare(prefills, group, request.Rounds, progress);
        }
        return RunReportBuilder.Build(request, tokens, measured.Layers, prefills, interleaved);
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
        long start = Stopwatch.GetTimestamp();
        foreach (Variant variant in group)
        {
            progress.Report($"loading and warming up: {variant.Name()}");
            prefills.Open(variant);
            prefills.RunFirst(variant);
        }
        TimeSpan lastPass = default;
        for (int round = 1; round <= rounds && (round == 1 || Stopwatch.GetElapsedTime(start) + lastPass <= TimeForRounds); round++)
        {
            long begin = Stopwatch.GetTimestamp();
            foreach (Variant variant in group)
            {
                progress.Report($"timed run {round} of {rounds}: {variant.Name()}");
                prefills.RunTimed(variant);
            }
            lastPass = Stopwatch.GetElapsedTime(begin);
        }
        foreach (Variant variant in group)
        {
            prefills.Close(variant);
        }
    }
}
