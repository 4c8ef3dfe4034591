using System.IO.Compression;
using System.Reflection;

namespace AttentionKernels.Cuda;

/// <summary>The files of kernels/ptx, which are compressed resources of this assembly.</summary>
internal static class KernelResources
{
    private const string Prefix = "AttentionKernels.Cuda.";

    /// <summary>A file's bytes and one zero byte, the end of PTX.</summary>
    public static byte[] ReadPtx(string file) => [.. Read(file), 0];

    /// <summary>A file's bytes.</summary>
    public static byte[] Read(string file)
    {
        using Stream compressed = Assembly.GetExecutingAssembly().GetManifestResourceStream(Prefix + file)
            ?? throw new InvalidDataException($"this build has no {file}: it was made without kernels/ptx");
        using GZipStream text = new(compressed, CompressionMode.Decompress);
        using MemoryStream bytes = new();
        text.CopyTo(bytes);
        return bytes.ToArray();
    }
}
