using System.Text.Json;
using System.Text.Json.Serialization;

namespace AttentionKernels.GpuCheck;

/// <summary>Everything that one run of this program found: the JSON.</summary>
/// <param name="Time">When it began, in UTC.</param>
/// <param name="Build">What was checked, and where.</param>
/// <param name="Device">On what.</param>
/// <param name="Correctness">The laws.</param>
/// <param name="SanitizerStatus">In words, which of its tools ran, or why none did.</param>
/// <param name="Sanitizer">Each tool that ran.</param>
/// <param name="OnnxRuntime">What of ONNX Runtime's CUDA provider ran, in words.</param>
/// <param name="Benchmark">The benchmark.</param>
internal sealed record CheckReport(
    DateTime Time, BuildDescription Build, DeviceDescription Device, CorrectnessResult Correctness, string SanitizerStatus, SanitizerResult[] Sanitizer, string OnnxRuntime,
    BenchmarkResult Benchmark)
{
    private static readonly JsonSerializerOptions Format = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        DefaultIgnoreCondition = JsonIgnoreCondition.Never,
    };

    /// <summary>Whether everything that could run passed.</summary>
    public bool IsGood => Correctness.IsGood && Sanitizer.All(tool => tool.IsGood) && (!Benchmark.Ran || Benchmark.IsGood);

    /// <summary>The JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Format);

    /// <summary>The table: what ran, what did not, and every failure.</summary>
    public void Write(TextWriter output)
    {
        const double Gigabyte = 1 << 30;
        output.WriteLine($"{Device.Name}, compute capability {Device.ComputeCapability}, {Device.Multiprocessors} multiprocessors, {Device.MemoryBytes / Gigabyte:F0} GiB, "
            + $"driver {Device.DriverVersion ?? "unknown"} (CUDA {Device.CudaVersion})");
        output.WriteLine($"AttentionKernels {Build.Version}, commit {Build.Commit ?? "unknown"}, {Build.KernelCount} kernels {Build.Kernels[..12]}; {Build.Processor}");
        output.WriteLine();
        Row("correctness", Correctness.IsGood, Correctness.Status);
        if (Sanitizer.Length == 0)
        {
            Row("compute-sanitizer", null, SanitizerStatus);
        }
        foreach (SanitizerResult tool in Sanitizer)
        {
            Row(tool.Tool, tool.IsGood, tool.Status);
        }
        Row("onnxruntime", null, OnnxRuntime);
        Row("benchmark", Benchmark.Ran ? Benchmark.IsGood : null, Benchmark.Status);
        foreach (TestFailure failure in Correctness.Tests?.Failures ?? [])
        {
            output.WriteLine();
            output.WriteLine(failure.Test);
            output.WriteLine($"  {failure.Message.ReplaceLineEndings("\n  ")}");
        }
        foreach (SanitizerResult tool in Sanitizer.Where(tool => tool.Findings.Length > 0))
        {
            output.WriteLine();
            output.WriteLine(tool.Tool);
            Array.ForEach(tool.Findings, line => output.WriteLine($"  {line}"));
        }
        if (Benchmark.Text.Length > 0)
        {
            output.WriteLine();
            output.Write(Benchmark.Text);
        }

        void Row(string what, bool? good, string status) => output.WriteLine($"{what,-18} {good switch { true => "passed", false => "FAILED", null => "not run" },-8} {status}");
    }
}
