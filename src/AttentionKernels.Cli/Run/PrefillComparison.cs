using System.Diagnostics;
using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Scenes;

namespace AttentionKernels.Cli.Run;

/// <summary>Prefills one scene with a model and its rewritten forms: compares their logits, keeps the scores, takes times.</summary>
/// <remarks>The first run of each form warms it up and gives the results; the others only give times.</remarks>
internal sealed class PrefillComparison : IDisposable
{
    private static readonly Variant[] RewrittenVariants = [Variant.Measured, Variant.Steered];

    private readonly DecoderModel _model;
    private readonly int _threads;
    private readonly CancellationToken _cancellation;
    private readonly Dictionary<Variant, RewrittenModel> _rewritten = [];
    private readonly Dictionary<Variant, OrtSession> _sessions = [];
    private readonly Dictionary<string, OrtTensor> _feeds;
    private readonly Dictionary<string, OrtTensor> _roles = [];
    private readonly OrtTensor _movedEmbeddings;
    private OrtTensor? _logits;

    /// <summary>Prepares the models' inputs.</summary>
    /// <param name="model">The model.</param>
    /// <param name="tokens">The scene.</param>
    /// <param name="embeddings">[S, hidden].</param>
    /// <param name="measured">The model rewritten with policy none.</param>
    /// <param name="steered">The model rewritten with a policy that steers; null: none is compared.</param>
    /// <param name="threads">ONNX Runtime's threads; 0: its own choice.</param>
    /// <param name="cancellation">Ends a run after the node that is running.</param>
    public PrefillComparison(
        DecoderModel model, SceneTokens tokens, float[] embeddings, RewrittenModel measured, RewrittenModel? steered, int threads, CancellationToken cancellation)
    {
        (_model, _threads, _cancellation) = (model, threads, cancellation);
        _rewritten.Add(Variant.Measured, measured);
        if (steered != null)
        {
            _rewritten.Add(Variant.Steered, steered);
        }
        _feeds = model.Inputs.CreateFeeds(tokens, embeddings);
        _movedEmbeddings = model.Inputs.CreateEmbeddings(TokenEmbeddings.MovedByOneStep(embeddings, model.Inputs.IsHalf));
        _roles.Add("token_modality", OrtTensor.Over(tokens.Modality, 1, tokens.Length));
        _roles.Add("token_speakers", OrtTensor.Over(tokens.Speakers, 1, tokens.Length));
        _roles.Add("token_frames", OrtTensor.Over(tokens.Frames, 1, tokens.Length, 2));
    }

    /// <summary>The forms that are compared, the built-in one first.</summary>
    public IReadOnlyList<Variant> Variants => [Variant.BuiltIn, .. RewrittenVariants.Where(_rewritten.ContainsKey)];

    /// <summary>Logits of the rewritten forms against the built-in one's, after their first runs.</summary>
    public Dictionary<Variant, LogitDifference> Differences { get; } = [];

    /// <summary>How far the built-in logits move when every embedding moves by one step, after a timed run of that form.</summary>
    public LogitDifference OneStep { get; private set; }

    /// <summary>Size of the built-in logits, after the first run.</summary>
    public LogitDifference Size { get; private set; }

    /// <summary>For each rewritten form and layer the scores [heads] and the alignment [heads, 4], after its first run.</summary>
    public Dictionary<(Variant Variant, int Layer), (float[] Scores, float[] Alignment)> Layers { get; } = [];

    /// <summary>Milliseconds of the timed runs.</summary>
    public Dictionary<Variant, List<double>> Times { get; } = [];

    /// <summary>Bytes that all forms take when they are loaded at once, with a margin for what ONNX Runtime makes of the weights.</summary>
    public long Memory => 2 * Variants.Count * _model.SizeWith(_rewritten[Variant.Measured]);

    /// <summary>Loads a form.</summary>
    /// <exception cref="OrtException">ONNX Runtime refuses it.</exception>
    public void Open(Variant variant)
    {
        _cancellation.ThrowIfCancellationRequested();
        // Errors come as exceptions; ONNX Runtime need not log them, too.
        using OrtSessionOptions options = new() { IntraOpThreads = _threads, LogSeverity = OrtLogSeverity.Fatal };
        // Threads that wait busily for the next run of their own session would slow down another session's.
        options.AddConfigEntry("session.force_spinning_stop", "1");
        if (variant != Variant.BuiltIn)
        {
            AttentionKernelsOps.Register(options);
        }
        _sessions.Add(variant, variant == Variant.BuiltIn ? _model.Open(options) : _model.Open(_rewritten[variant], options));
    }

    /// <summary>Unloads a form.</summary>
    public void Close(Variant variant)
    {
        _sessions[variant].Dispose();
        _sessions.Remove(variant);
    }

    /// <summary>The first run of a form, the built-in one's before the others'.</summary>
    /// <exception cref="OrtException">The run failed.</exception>
    /// <exception cref="RunException">The logits cannot be compared.</exception>
    public void RunFirst(Variant variant)
    {
        OrtTensor[] outputs = Run(variant, _feeds);
        if (variant == Variant.BuiltIn)
        {
            _logits = outputs[0];
            Size = LogitDifference.Between(null, outputs[0]);
            return;
        }
        try
        {
            Differences[variant] = LogitDifference.Between(_logits, outputs[0]);
            foreach ((SteeredLayer layer, int i) in _rewritten[variant].Layers.Select((layer, i) => (layer, i)))
            {
                Layers[(variant, layer.Index)] = (outputs[1 + (2 * i)].Span<float>().ToArray(), outputs[2 + (2 * i)].Span<float>().ToArray());
            }
        }
        finally
        {
            DisposeAll(outputs);
        }
    }

    /// <summary>A run whose time is kept. The built-in form reads the embeddings moved by one step, which takes it the same time.</summary>
    /// <exception cref="OrtException">The run failed.</exception>
    public void RunTimed(Variant variant)
    {
        bool first = Times.TryAdd(variant, []);
        bool moved = first && variant == Variant.BuiltIn;
        Dictionary<string, OrtTensor> feeds = moved ? new(_feeds) { [DecoderInputs.Embeddings] = _movedEmbeddings } : _feeds;
        long start = Stopwatch.GetTimestamp();
        OrtTensor[] outputs = Run(variant, feeds);
        Times[variant].Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        try
        {
            if (moved)
            {
                OneStep = LogitDifference.Between(_logits, outputs[0]);
            }
        }
        finally
        {
            DisposeAll(outputs);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        DisposeAll(_sessions.Values);
        DisposeAll(_feeds.Values);
        DisposeAll(_roles.Values);
        _movedEmbeddings.Dispose();
        _logits?.Dispose();
    }

    private OrtTensor[] Run(Variant variant, Dictionary<string, OrtTensor> feeds) =>
        variant == Variant.BuiltIn
            ? _sessions[variant].Run(feeds, [DecoderModel.Logits], _cancellation)
            : _sessions[variant].Run(
                [.. feeds, .. _roles],
                [DecoderModel.Logits, .. _rewritten[variant].Layers.SelectMany(layer => (string[])[$"head_scores.{layer.Index}", $"alignment.{layer.Index}"])],
                _cancellation);

    private static void DisposeAll(IEnumerable<IDisposable> things)
    {
        foreach (IDisposable thing in things)
        {
            thing.Dispose();
        }
    }
}
