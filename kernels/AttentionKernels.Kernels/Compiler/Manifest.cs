using System.Text.Encodings.Web;
using System.Text.Json;

namespace AttentionKernels.Kernels.Compiler;

/// <summary>manifest.json: what a launcher must know about each PTX file.</summary>
internal sealed record Manifest(string Ilgpu, string Target, string Version, ManifestEntry[] Kernels)
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        WriteIndented = true,
        IndentSize = 2,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>The stored manifest; without kernels when there is none.</summary>
    public static Manifest Read(string path) =>
        (File.Exists(path) ? JsonSerializer.Deserialize<Manifest>(File.ReadAllText(path), Options) : null) ?? Empty;

    /// <summary>A manifest of this compiler, without kernels.</summary>
    public static Manifest Empty { get; } = new(KernelCompiler.IlgpuVersion, PtxText.Target, PtxText.Version, []);

    /// <summary>The file's text.</summary>
    public string Write() => JsonSerializer.Serialize(this, Options) + "\n";
}
