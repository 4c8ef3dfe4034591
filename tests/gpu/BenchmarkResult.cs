using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using AttentionKernels.Bench.Compare;
using AttentionKernels.Bench.Device;
using AttentionKernels.Cuda;

namespace AttentionKernels.GpuCheck;

/// <summary>The benchmark on the device.</summary>
/// <param name="Status">In words: its last line, or why it has none.</param>
/// <param name="IsGood">Whether it ran to its end; false, too, where it did not run.</param>
/// <param name="Ran">Whether it ran.</param>
/// <param name="Results">Its numbers; null: none.</param>
/// <param name="Text">Its tables; empty: none.</param>
internal sealed record BenchmarkResult(string Status, bool IsGood, bool Ran, JsonNode? Results, [property: JsonIgnore] string Text)
{
    /// <summary>Runs it, in this process.</summary>
    public static async Task<BenchmarkResult> RunAsync(CheckSettings settings, Action<string> progress, CancellationToken cancellation)
    {
        DeviceRequest request = new(settings.Device, settings.Quick, settings.Cases, Torch: true, settings.Python);
        try
        {
            DeviceReport report = await Task.Run(() => DeviceBenchmark.Run(request, step => progress($"benchmark: {step}"), cancellation), cancellation);
            using StringWriter text = new();
            report.WriteText(text);
            return new BenchmarkResult(report.Succeeded ? report.Summary : "results were wrong, calls failed, or nothing was measured: see below", report.Succeeded, true, report.ToJson(), text.ToString());
        }
        catch (Exception e) when (e is CudaException or BenchException)
        {
            return new BenchmarkResult(e.Message, false, true, null, "");
        }
    }

    /// <summary>It did not run.</summary>
    public static BenchmarkResult NotRun(string why) => new(why, false, false, null, "");
}
