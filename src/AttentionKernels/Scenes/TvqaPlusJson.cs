using System.Text.Json.Serialization;

namespace AttentionKernels.Scenes;

/// <summary>JSON form of a TVQA+ annotation file. Missing fields are errors; unknown ones are left to the data set.</summary>
[JsonSourceGenerationOptions(RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(List<TvqaPlusQuestion>))]
internal sealed partial class TvqaPlusJson : JsonSerializerContext;
