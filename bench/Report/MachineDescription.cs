using System.Globalization;
using System.Runtime.InteropServices;
using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Bench.Report;

/// <summary>Where numbers come from.</summary>
/// <param name="Processor">Model name.</param>
/// <param name="Cores">Logical processors.</param>
/// <param name="Caches">As "L1d 32K, L2 1024K, L3 33792K"; empty: unknown.</param>
/// <param name="InstructionSet">What our engine computes with.</param>
/// <param name="Load">Running processes, mean of the last minute, before anything was measured; null: unknown.</param>
/// <param name="System">Operating system.</param>
/// <param name="DotNet">Version of .NET.</param>
/// <param name="OnnxRuntime">Version of ONNX Runtime.</param>
/// <param name="Commit">What this program was built from; null: unknown.</param>
/// <param name="Time">When, in UTC.</param>
internal sealed record MachineDescription(
    string Processor, int Cores, string Caches, string InstructionSet, double? Load, string System, string DotNet, string OnnxRuntime, string? Commit, DateTime Time)
{
    private const string CacheFolder = "/sys/devices/system/cpu/cpu0/cache";

    /// <summary>This process.</summary>
    public static MachineDescription Read() => new(
        ProcessorName(),
        Environment.ProcessorCount,
        CacheSizes(),
        InstructionSets.Current.ToString().ToLowerInvariant(),
        ReadLoad(),
        RuntimeInformation.OSDescription,
        RuntimeInformation.FrameworkDescription,
        OrtEnvironment.Get().Api.Version,
        GitCommit.Find(),
        DateTime.UtcNow);

    private static string ProcessorName() => File.Exists("/proc/cpuinfo")
        ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':', 2)[1].Trim() ?? "unknown"
        : Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER") ?? "unknown";

    private static string CacheSizes()
    {
        if (!Directory.Exists(CacheFolder))
        {
            return "";
        }
        return string.Join(", ", Directory.GetDirectories(CacheFolder, "index*").Order(StringComparer.Ordinal)
            .Select(folder => (Level: Text(folder, "level"), Type: Text(folder, "type"), Size: Text(folder, "size")))
            .Where(cache => cache.Type != "Instruction")
            .Select(cache => $"L{cache.Level}{(cache.Type == "Data" ? "d" : "")} {cache.Size}"));

        static string Text(string folder, string name) => File.ReadAllText(Path.Combine(folder, name)).Trim();
    }

    private static double? ReadLoad() => File.Exists("/proc/loadavg") ? double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], CultureInfo.InvariantCulture) : null;
}
