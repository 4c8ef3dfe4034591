using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace AttentionKernels.Bench.Report;

/// <summary>Reports as JSON: every number of the text and every sample.</summary>
internal static class ReportJson
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        WriteIndented = true,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter() },
    };

    /// <summary>Writes a report to a file, over what is there.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file must not be written.</exception>
    public static void Write<T>(T report, string path) => File.WriteAllText(path, JsonSerializer.Serialize(report, Options) + "\n");

    /// <summary>A report as a part of another one.</summary>
    public static JsonNode ToNode<T>(T report) => JsonSerializer.SerializeToNode(report, Options)!;
}
