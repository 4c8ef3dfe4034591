using System.Text.Json;
using System.Text.Json.Serialization;
using AttentionKernels.OnnxRuntime.Graph;

namespace AttentionKernels.Cli.Run;

/// <summary>
/// Decoders that this tool generates carry their configuration in the file, so that a later run gives them the embeddings that their
/// planted heads answer to.
/// </summary>
internal static partial class GeneratedDecoder
{
    private const string MetadataKey = "ai.attentionkernels.decoder";

    /// <summary>Builds a decoder.</summary>
    /// <exception cref="OnnxModelException">The sizes make no decoder.</exception>
    public static ModelProto Build(DecoderConfig config)
    {
        ModelProto model = DecoderGraphBuilder.BuildModel(config);
        model.MetadataProps.Add(new StringStringEntryProto { Key = MetadataKey, Value = JsonSerializer.Serialize(config, Json.Default.DecoderConfig) });
        return model;
    }

    /// <summary>The configuration that a model was generated with, or null for a model from elsewhere.</summary>
    /// <exception cref="OnnxModelException">The model's note of its configuration is not readable.</exception>
    public static DecoderConfig? ConfigOf(ModelProto model)
    {
        string? note = model.MetadataProps.FirstOrDefault(entry => entry.Key == MetadataKey)?.Value;
        if (note == null)
        {
            return null;
        }
        try
        {
            DecoderConfig? config = JsonSerializer.Deserialize(note, Json.Default.DecoderConfig);
            config?.Check();
            return config;
        }
        catch (JsonException e)
        {
            throw new OnnxModelException($"The model's metadata '{MetadataKey}' is not a decoder configuration: {e.Message}", e);
        }
    }

    [JsonSourceGenerationOptions(IgnoreReadOnlyProperties = true, UseStringEnumConverter = true)]
    [JsonSerializable(typeof(DecoderConfig))]
    private sealed partial class Json : JsonSerializerContext;
}
