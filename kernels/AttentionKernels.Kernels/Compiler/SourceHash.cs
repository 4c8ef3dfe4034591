using System.Security.Cryptography;
using System.Text;

namespace AttentionKernels.Kernels.Compiler;

/// <summary>
/// What a kernel's PTX depends on, as one number: its own files <c>Kernels/{stem}Kernel*.cs</c>, everything in <c>Device/</c> and <c>Compiler/</c>, and the version
/// of ILGPU. The tests compile this file, too, to find PTX that is older than its sources.
/// </summary>
internal static class SourceHash
{
    /// <summary>SHA-256, lower-case hexadecimal, over names and texts with line ends as \n and without a byte order mark.</summary>
    /// <param name="project">Folder of the kernel project.</param>
    /// <param name="kernel">Stem of the kernel.</param>
    /// <param name="ilgpuVersion">For example "1.5.3".</param>
    public static string Of(string project, string kernel, string ilgpuVersion)
    {
        IEnumerable<string> files = Directory.EnumerateFiles(Path.Combine(project, "Kernels"), $"{kernel}Kernel*.cs")
            .Concat(Directory.EnumerateFiles(Path.Combine(project, "Device"), "*.cs"))
            .Concat(Directory.EnumerateFiles(Path.Combine(project, "Compiler"), "*.cs"))
            .OrderBy(Path.GetFileName, StringComparer.Ordinal);
        StringBuilder text = new($"ILGPU {ilgpuVersion}\n");
        foreach (string file in files)
        {
            text.Append(Path.GetFileName(file)).Append('\n').Append(File.ReadAllText(file).Replace("\r", "")).Append('\n');
        }
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }
}
