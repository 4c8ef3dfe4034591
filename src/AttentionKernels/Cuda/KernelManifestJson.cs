using System.Text.Json.Serialization;

namespace AttentionKernels.Cuda;

/// <summary>What the launcher reads of manifest.json. Its reader is generated at compile time: the native library has no reflection.</summary>
/// <param name="Kernels">One entry for each kernel.</param>
internal sealed record KernelManifestJson(KernelManifestJson.Entry[] Kernels)
{
    /// <summary>A kernel.</summary>
    internal sealed record Entry(
        string Name, string File, string Kernel, string? ElementType, int? HeadSize, string? Variant, int Threads, int DynamicSharedBytes, int Rows, int Keys, Parameter[] Parameters);

    /// <summary>A parameter of a kernel: type "int", "long" or "float", size in bytes.</summary>
    internal sealed record Parameter(string Name, string Type, int Size);
}

/// <summary>The generated reader.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(KernelManifestJson))]
internal sealed partial class KernelManifestReader : JsonSerializerContext;
