using System.Text.Json.Serialization;

namespace AttentionKernels.Scenes;

/// <summary>A labelled box of a TVQA+ frame, in pixels.</summary>
internal sealed record TvqaPlusBox(
    [property: JsonPropertyName("label")] string Label,
    [property: JsonPropertyName("left")] double Left,
    [property: JsonPropertyName("top")] double Top,
    [property: JsonPropertyName("width")] double Width,
    [property: JsonPropertyName("height")] double Height);
