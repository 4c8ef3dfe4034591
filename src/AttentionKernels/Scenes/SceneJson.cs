using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace AttentionKernels.Scenes;

/// <summary>JSON form of a scene, generated at compile time so that it works without reflection. Strict: unknown, missing and repeated fields are errors.</summary>
[JsonSerializable(typeof(Scene))]
internal sealed partial class SceneJson : JsonSerializerContext
{
    public static SceneJson Instance { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        AllowDuplicateProperties = false,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        WriteIndented = true,
        NewLine = "\n",
        // Names and text stay readable; the file is never put into a web page.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
