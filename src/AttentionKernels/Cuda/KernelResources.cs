using System.Reflection;

namespace AttentionKernels.Cuda;

/// <summary>The files of kernels/ptx, which are resources of this assembly.</summary>
internal static class KernelResources
{
    private const string Prefix = "AttentionKernels.Cuda.";

    /// <summary>A file's bytes and one zero byte, the end of PTX.</summary>
    public static byte[] ReadPtx(string file)
    {
        using Stream stream = Open(file);
        byte[] text = new byte[stream.Length + 1];
        stream.ReadExactly(text, 0, text.Length - 1);
        return text;
    }

    /// <summary>A file's bytes.</summary>
    public static byte[] Read(string file)
    {
        using Stream stream = Open(file);
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }

    private static Stream Open(string file) => Assembly.GetExecutingAssembly().GetManifestResourceStream(Prefix + file)
        ?? throw new InvalidDataException($"this build has no {file}: it was made without kernels/ptx");
}
