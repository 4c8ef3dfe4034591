using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using AttentionKernels.Cuda;

namespace AttentionKernels.GpuCheck;

/// <summary>What is checked, and where.</summary>
/// <param name="Version">Version of this build.</param>
/// <param name="Commit">The commit that it was made from; null: unknown.</param>
/// <param name="Kernels">SHA-256 of the list of kernels, which has the hash of every kernel's sources.</param>
/// <param name="KernelCount">Kernels in it.</param>
/// <param name="Processor">Model of the host's processor.</param>
/// <param name="Processors">Logical processors.</param>
/// <param name="System">Operating system.</param>
internal sealed record BuildDescription(string Version, string? Commit, string Kernels, int KernelCount, string Processor, int Processors, string System)
{
    private const string ProcessorFile = "/proc/cpuinfo";

    /// <summary>This process.</summary>
    public static BuildDescription Read()
    {
        // The SDK writes the commit behind a plus sign.
        string[] version = typeof(BuildDescription).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+', 2);
        return new BuildDescription(
            version[0],
            version.Length > 1 ? version[1] : null,
            Convert.ToHexStringLower(SHA256.HashData(KernelResources.Read("manifest.json"))),
            KernelManifest.Embedded.Entries.Count,
            File.Exists(ProcessorFile)
                ? File.ReadLines(ProcessorFile).FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':', 2)[1].Trim() ?? "unknown"
                : Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER") ?? "unknown",
            Environment.ProcessorCount,
            RuntimeInformation.OSDescription);
    }
}
