using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using Google.Protobuf;

namespace AttentionKernels.Cli.Run;

/// <summary>A decoder that is to be run: read from a file or generated, not yet in ONNX Runtime.</summary>
internal sealed class DecoderModel
{
    /// <summary>The output that is compared between models.</summary>
    public const string Logits = "logits";

    private readonly string? _path;
    private readonly byte[] _bytes;
    private readonly ModelProto _proto;

    private DecoderModel(string name, string? path, ModelProto proto, byte[] bytes)
    {
        (Name, _path, _proto, _bytes) = (name, path, proto, bytes);
        Attention = AttentionNode.FindAll(proto);
        Inputs = DecoderInputs.Read(proto.Graph);
        Generated = GeneratedDecoder.ConfigOf(proto);
        if (Generated is DecoderConfig config && config.Hidden != Inputs.Hidden)
        {
            throw new RunException($"inputs_embeds has {Inputs.Hidden} columns, but the model's metadata says {config.Hidden}");
        }
        if (!proto.Graph.Output.Any(output => output.Name == Logits))
        {
            throw new RunException($"the model has no output '{Logits}'; it has {string.Join(", ", proto.Graph.Output.Take(10).Select(output => output.Name))}");
        }
    }

    /// <summary>What messages and reports call it: its path, or a phrase.</summary>
    public string Name { get; }

    /// <summary>What it wants to be fed.</summary>
    public DecoderInputs Inputs { get; }

    /// <summary>How this tool generated it; null for a model from elsewhere.</summary>
    public DecoderConfig? Generated { get; }

    /// <summary>Its attention nodes in the order of the layers.</summary>
    public IReadOnlyList<AttentionNode> Attention { get; }

    /// <summary>Decoder layers.</summary>
    public int Layers => Attention[^1].Layer + 1;

    /// <summary>Query heads of the first layer.</summary>
    public long Heads => Attribute("num_heads");

    /// <summary>Key and value heads of the first layer.</summary>
    public long KvHeads => Attribute("kv_num_heads");

    /// <summary>Numbers in all constants, wherever they lie.</summary>
    public long Parameters => _proto.Graph.Initializer.Sum(tensor => tensor.Dims.Aggregate(1L, (product, dim) => product * dim));

    /// <summary>Generates a decoder.</summary>
    /// <exception cref="OnnxModelException">The sizes make no decoder.</exception>
    public static DecoderModel Generate(DecoderConfig config)
    {
        ModelProto proto = GeneratedDecoder.Build(config);
        return new DecoderModel("generated decoder", null, proto, proto.ToByteArray());
    }

    /// <summary>Reads a decoder from a file.</summary>
    /// <exception cref="OnnxModelException">The file cannot be read or is not an ONNX model.</exception>
    /// <exception cref="RunException">It is not a decoder that this tool can run.</exception>
    public static DecoderModel Load(string path)
    {
        ModelProto proto = OnnxFile.Load(path);
        try
        {
            return new DecoderModel(path, path, proto, []);
        }
        catch (Exception e) when (e is RunException or OnnxModelException)
        {
            throw new RunException($"{path}: {e.Message}", e);
        }
    }

    /// <summary>The model with SteeredAttention in some layers.</summary>
    /// <exception cref="OnnxModelException">A layer does not exist or cannot be rewritten.</exception>
    public RewrittenModel Rewrite(SteeringRewrite steering) =>
        _path == null ? SteeredAttentionRewriter.Rewrite(_bytes, steering) : SteeredAttentionRewriter.Rewrite(_path, steering);

    /// <summary>Loads the model as it is.</summary>
    /// <exception cref="AttentionKernels.OnnxRuntime.OrtException">ONNX Runtime refuses it.</exception>
    public OrtSession Open(OrtSessionOptions options) =>
        _path == null ? new OrtSession(_bytes, options) : new OrtSession(_path, options);

    /// <summary>Loads a rewritten form of it.</summary>
    /// <exception cref="AttentionKernels.OnnxRuntime.OrtException">ONNX Runtime refuses it.</exception>
    public OrtSession Open(RewrittenModel rewritten, OrtSessionOptions options)
    {
        if (rewritten.ExternalData.Count > 0)
        {
            // The bytes have no folder, and the weights lie beside the file.
            options.AddConfigEntry("session.model_external_initializers_file_folder_path", Folder);
        }
        return new OrtSession(rewritten.Model, options);
    }

    /// <summary>Bytes of the model and the files of weights beside it.</summary>
    public long SizeWith(RewrittenModel rewritten) =>
        rewritten.Model.LongLength + rewritten.ExternalData.Select(file => new FileInfo(Path.Combine(Folder, file))).Sum(file => file.Exists ? file.Length : 0);

    private string Folder => Path.GetDirectoryName(Path.GetFullPath(_path ?? "."))!;

    private long Attribute(string name) => Attention[0].Node.Attribute.FirstOrDefault(attribute => attribute.Name == name)?.I ?? 0;
}
