using System.Text.Json.Serialization;

namespace AttentionKernels.Scenes;

/// <summary>An element of a TVQA+ annotation file, as far as it is used.</summary>
internal sealed record TvqaPlusQuestion(
    [property: JsonPropertyName("qid")] int QuestionId,
    [property: JsonPropertyName("vid_name")] string VideoName,
    [property: JsonPropertyName("q")] string Question,
    [property: JsonPropertyName("a0")] string Answer0,
    [property: JsonPropertyName("a1")] string Answer1,
    [property: JsonPropertyName("a2")] string Answer2,
    [property: JsonPropertyName("a3")] string Answer3,
    [property: JsonPropertyName("a4")] string Answer4,
    [property: JsonPropertyName("ts")] IReadOnlyList<double> Times,
    [property: JsonPropertyName("bbox")] IReadOnlyDictionary<string, IReadOnlyList<TvqaPlusBox>> Boxes)
{
    [JsonIgnore]
    public IReadOnlyList<string> Answers => [Answer0, Answer1, Answer2, Answer3, Answer4];
}
