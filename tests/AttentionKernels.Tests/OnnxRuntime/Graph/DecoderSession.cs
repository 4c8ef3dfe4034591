using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Tests.OnnxRuntime.Ops;

namespace AttentionKernels.Tests.OnnxRuntime.Graph;

/// <summary>Runs a generated decoder, whole sequences or step by step.</summary>
internal sealed class DecoderSession : IDisposable
{
    private readonly DecoderConfig _config;
    private readonly OrtSession _session;
    private readonly List<OrtTensor> _tensors = [];
    private OrtTensor[] _cache = [];

    /// <summary>A session of the decoder of <paramref name="config"/>.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="model">Its model, rewritten perhaps; null: as built.</param>
    /// <param name="overrides">What this library computes instead of ONNX Runtime.</param>
    public DecoderSession(DecoderConfig config, byte[]? model = null, AttentionOverrides overrides = AttentionOverrides.None)
        : this(config, options => new OrtSession(model ?? DecoderGraphBuilder.Build(config), options), overrides)
    {
    }

    /// <summary>A session of a decoder that <paramref name="create"/> loads.</summary>
    public DecoderSession(DecoderConfig config, Func<OrtSessionOptions, OrtSession> create, AttentionOverrides overrides = AttentionOverrides.None)
    {
        _config = config;
        using OrtSessionOptions options = new() { IntraOpThreads = 2 };
        AttentionKernelsOps.Register(options, overrides);
        _session = create(options);
    }

    /// <summary>A session of the decoder as built, whose attention a native library computes.</summary>
    public DecoderSession(DecoderConfig config, string nativeLibrary)
    {
        _config = config;
        using OrtSessionOptions options = new() { IntraOpThreads = 2 };
        options.AddConfigEntry("attention_kernels.override", "all");
        options.RegisterLibrary(nativeLibrary);
        _session = new OrtSession(DecoderGraphBuilder.Build(config), options);
    }

    /// <summary>Names of the inputs and outputs as ONNX Runtime sees them.</summary>
    public (string[] Inputs, string[] Outputs) Names => ([.. _session.Inputs.Select(i => i.Name)], [.. _session.Outputs.Select(o => o.Name)]);

    /// <summary>
    /// Runs rows [<paramref name="first"/>, <paramref name="end"/>) of each input after those that ran before (the cache), and returns the outputs by name.
    /// Inputs that are shorter are padded on the right.
    /// </summary>
    public Dictionary<string, float[]> Run(DecoderInput[] inputs, int first, int end, string[] outputs)
    {
        int batch = inputs.Length, length = end - first;
        float[] embeddings = new float[batch * length * _config.Hidden];
        long[] mask = new long[batch * end];
        long[] positions = new long[3 * batch * length];
        byte[] modality = Enumerable.Repeat((byte)Modality.Padding, batch * end).ToArray();
        long[] speakers = new long[batch * end];
        int[] frames = new int[batch * end * 2];
        for (int b = 0; b < batch; b++)
        {
            DecoderInput input = inputs[b];
            for (int t = 0; t < Math.Min(end, input.Length); t++)
            {
                int i = (b * end) + t;
                (mask[i], modality[i], speakers[i], frames[2 * i], frames[(2 * i) + 1]) = (1, input.Modality[t], input.Speakers[t], 0, 1);
                if (t >= first)
                {
                    int row = (b * length) + t - first;
                    input.Embeddings.AsSpan(t * _config.Hidden, _config.Hidden).CopyTo(embeddings.AsSpan(row * _config.Hidden));
                    for (int axis = 0; axis < 3; axis++)
                    {
                        positions[(axis * batch * length) + row] = input.Positions[axis][t];
                    }
                }
            }
        }

        Dictionary<string, OrtTensor> feeds = new()
        {
            ["inputs_embeds"] = Tensor(embeddings, batch, length, _config.Hidden),
            ["attention_mask"] = Keep(OrtTensor.Over(mask, batch, end)),
            ["position_ids"] = Keep(OrtTensor.Over(positions, 3, batch, length)),
        };
        if (Names.Inputs.Contains("token_modality"))
        {
            feeds["token_modality"] = Keep(OrtTensor.Over(modality, batch, end));
            feeds["token_speakers"] = Keep(OrtTensor.Over(speakers, batch, end));
            feeds["token_frames"] = Keep(OrtTensor.Over(frames, batch, end, 2));
        }
        for (int i = 0; i < 2 * _config.Layers; i++)
        {
            feeds["past_key_values." + CacheName(i)] = first == 0 ? Tensor([], batch, _config.KvHeads, 0, _config.HeadSize) : _cache[i];
        }

        if (BufferRows > 0)
        {
            return new() { ["logits"] = RunInBuffers(feeds, batch, length, first == 0) };
        }
        OrtTensor[] results = _session.Run(feeds, [.. outputs, .. Enumerable.Range(0, 2 * _config.Layers).Select(i => "present." + CacheName(i))]);
        _tensors.AddRange(results);
        _cache = results[outputs.Length..];
        return outputs.Select((name, i) => (name, results[i])).ToDictionary(r => r.name, r => Read(r.Item2));
    }

    /// <summary>Rows of a buffer that is past and present in one; 0: separate tensors that grow. Only logits come out then.</summary>
    public int BufferRows { get; init; }

    private float[] RunInBuffers(Dictionary<string, OrtTensor> feeds, int batch, int length, bool start)
    {
        if (start)
        {
            _cache = [.. Enumerable.Range(0, 2 * _config.Layers).Select(_ => Keep(Tensors.Zeros(_config.Type, batch, _config.KvHeads, BufferRows, _config.HeadSize)))];
        }
        OrtTensor logits = Keep(Tensors.Zeros(_config.Type, batch, length, _config.Vocabulary));
        Dictionary<string, OrtTensor> outputs = new() { ["logits"] = logits };
        for (int i = 0; i < _cache.Length; i++)
        {
            feeds["past_key_values." + CacheName(i)] = outputs["present." + CacheName(i)] = _cache[i];
        }
        _session.Run(feeds, outputs);
        return Read(logits);
    }

    /// <summary>Runs one whole sequence.</summary>
    public Dictionary<string, float[]> Run(DecoderInput input, params string[] outputs) => Run([input], 0, input.Length, outputs);

    /// <summary>The keys [KvHeads, T, D] of a layer after the last run.</summary>
    public float[] Keys(int layer) => Read(_cache[2 * layer]);

    public void Dispose()
    {
        _tensors.ForEach(tensor => tensor.Dispose());
        _session.Dispose();
    }

    private static string CacheName(int i) => $"{i / 2}.{(i % 2 == 0 ? "key" : "value")}";

    private static float[] Read(OrtTensor tensor) => Tensors.Floats(tensor);

    private OrtTensor Tensor(float[] values, params ReadOnlySpan<long> shape) => Keep(Tensors.Of(_config.Type, values, shape));

    private OrtTensor Keep(OrtTensor tensor)
    {
        _tensors.Add(tensor);
        return tensor;
    }
}
