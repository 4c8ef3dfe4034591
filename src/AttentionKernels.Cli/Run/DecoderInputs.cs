using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Scenes;

namespace AttentionKernels.Cli.Run;

/// <summary>
/// What a decoder graph wants to be fed, as onnxruntime-genai exports it: inputs_embeds [B, S, hidden], attention_mask [B, T], position_ids
/// [3, B, S] or [B, S] or none, past_key_values.* [B, heads, past, head size].
/// </summary>
internal sealed class DecoderInputs
{
    /// <summary>The input that takes embeddings.</summary>
    public const string Embeddings = "inputs_embeds";

    private const string Mask = "attention_mask";
    private const string Positions = "position_ids";
    private const string PastPrefix = "past_key_values.";

    private readonly List<ValueInfoProto> _pasts = [];
    private bool _hasMask;
    private int _positionsRank;

    private DecoderInputs()
    {
    }

    /// <summary>Size of an embedding.</summary>
    public int Hidden { get; private init; }

    /// <summary>Element type of the embeddings, the cache and the logits: Float or Float16.</summary>
    public OnnxElementType Type { get; private init; }

    /// <summary>Whether <see cref="Type"/> is Float16.</summary>
    public bool IsHalf => Type == OnnxElementType.Float16;

    /// <summary>Reads a graph's inputs.</summary>
    /// <exception cref="RunException">An input is unknown, missing, or not of the type and shape above.</exception>
    public static DecoderInputs Read(GraphProto graph)
    {
        HashSet<string> constants = [.. graph.Initializer.Select(tensor => tensor.Name)];
        ValueInfoProto[] values = [.. graph.Input.Where(value => !constants.Contains(value.Name))];
        ValueInfoProto embeddings = values.FirstOrDefault(value => value.Name == Embeddings)
            ?? throw new RunException($"the model has no input '{Embeddings}': expected a decoder that takes embeddings; it has {string.Join(", ", values.Select(Describe))}.");
        Require(embeddings, Dims(embeddings) is [_, _, > 0 and <= int.MaxValue] && TypeOf(embeddings) is OnnxElementType.Float or OnnxElementType.Float16, "float32 or float16 [batch, sequence, hidden] with a fixed hidden size");

        DecoderInputs inputs = new() { Hidden = (int)Dims(embeddings)[2], Type = TypeOf(embeddings) };
        List<string> unknown = [];
        foreach (ValueInfoProto value in values)
        {
            if (!inputs.TryAdd(value))
            {
                unknown.Add(Describe(value));
            }
        }
        return unknown.Count == 0
            ? inputs
            : throw new RunException(
                $"the model has inputs that this tool cannot fill: {string.Join(", ", unknown)}; it knows {Embeddings}, {Mask}, {Positions} and {PastPrefix}*.");
    }

    /// <summary>Tensors for one prefill of the whole scene, an empty past included; the caller disposes of them.</summary>
    /// <param name="tokens">The scene, S = T tokens.</param>
    /// <param name="embeddings">[S, hidden].</param>
    public Dictionary<string, OrtTensor> CreateFeeds(SceneTokens tokens, float[] embeddings)
    {
        long length = tokens.Length;
        Dictionary<string, OrtTensor> feeds = [];
        try
        {
            feeds.Add(Embeddings, CreateEmbeddings(embeddings));
            if (_hasMask)
            {
                long[] mask = new long[length];
                Array.Fill(mask, 1);
                feeds.Add(Mask, OrtTensor.Over(mask, 1, length));
            }
            if (_positionsRank == 3)
            {
                feeds.Add(Positions, OrtTensor.Over([.. tokens.PositionIds.SelectMany(axis => axis).Select(position => (long)position)], 3, 1, length));
            }
            else if (_positionsRank == 2)
            {
                feeds.Add(Positions, OrtTensor.Over([.. Enumerable.Range(0, tokens.Length).Select(position => (long)position)], 1, length));
            }
            foreach (ValueInfoProto past in _pasts)
            {
                long[] dims = Dims(past);
                feeds.Add(past.Name, Type == OnnxElementType.Float ? OrtTensor.Zeros<float>(1, dims[1], 0, dims[3]) : OrtTensor.Zeros<Half>(1, dims[1], 0, dims[3]));
            }
            return feeds;
        }
        catch
        {
            foreach (OrtTensor tensor in feeds.Values)
            {
                tensor.Dispose();
            }
            throw;
        }
    }

    /// <summary>Embeddings in the model's element type; the caller disposes of the tensor.</summary>
    /// <param name="embeddings">[S, hidden].</param>
    public OrtTensor CreateEmbeddings(float[] embeddings)
    {
        long length = embeddings.Length / Hidden;
        return Type == OnnxElementType.Float
            ? OrtTensor.Over(embeddings, 1, length, Hidden)
            : OrtTensor.Over(Array.ConvertAll(embeddings, value => (Half)value), 1, length, Hidden);
    }

    private bool TryAdd(ValueInfoProto value)
    {
        long[] dims = Dims(value);
        switch (value.Name)
        {
            case Embeddings:
                return true;
            case Mask:
                Require(value, dims.Length == 2 && TypeOf(value) == OnnxElementType.Int64, "int64 [batch, total]");
                return _hasMask = true;
            case Positions:
                Require(value, dims is [3, _, _] or [_, _] && TypeOf(value) == OnnxElementType.Int64, "int64 [3, batch, sequence] or [batch, sequence]");
                _positionsRank = dims.Length;
                return true;
            default:
                if (!value.Name.StartsWith(PastPrefix, StringComparison.Ordinal))
                {
                    return false;
                }
                Require(value, dims is [_, > 0, < 0, > 0] && TypeOf(value) == Type, $"{Name(Type)} [batch, heads, past, head size] with a past of any length");
                _pasts.Add(value);
                return true;
        }
    }

    private static void Require(ValueInfoProto value, bool holds, string expected)
    {
        if (!holds)
        {
            throw new RunException($"the model's input {Describe(value)} is not as expected: {expected}.");
        }
    }

    private static OnnxElementType TypeOf(ValueInfoProto value) => (OnnxElementType)(value.Type?.TensorType?.ElemType ?? 0);

    /// <summary>The dimensions, -1 for one that is not a number.</summary>
    private static long[] Dims(ValueInfoProto value) =>
        [.. (value.Type?.TensorType?.Shape?.Dim ?? []).Select(dim => dim.SizeCase == TensorShapeProto.Types.Dimension.SizeOneofCase.DimValue ? dim.DimValue : -1)];

    private static string Describe(ValueInfoProto value)
    {
        IEnumerable<string> dims = (value.Type?.TensorType?.Shape?.Dim ?? [])
            .Select(dim => dim.SizeCase switch
            {
                TensorShapeProto.Types.Dimension.SizeOneofCase.DimValue => $"{dim.DimValue}",
                TensorShapeProto.Types.Dimension.SizeOneofCase.DimParam => dim.DimParam,
                _ => "?",
            });
        return $"'{value.Name}' ({Name(TypeOf(value))} [{string.Join(", ", dims)}])";
    }

    private static string Name(OnnxElementType type) => type switch
    {
        OnnxElementType.Float => "float32",
        OnnxElementType.Float16 => "float16",
        OnnxElementType.Int64 => "int64",
        OnnxElementType.Int32 => "int32",
        OnnxElementType.UInt8 => "uint8",
        _ => $"element type {(int)type}",
    };
}
