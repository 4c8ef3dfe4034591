namespace AttentionKernels.GpuCheck;

/// <summary>One run: device, laws, sanitizer, benchmark, in this order.</summary>
internal static class CheckRun
{
    /// <summary>Runs everything that can run, writes the JSON and the table.</summary>
    /// <returns>A value of <see cref="ExitCode"/>.</returns>
    /// <exception cref="Cuda.CudaException">There is no device to check.</exception>
    /// <exception cref="IOException">The JSON cannot be written, or the tests left no result that can be read.</exception>
    public static async Task<int> RunAsync(CheckSettings settings, TextWriter output, Action<string> progress, CancellationToken cancellation)
    {
        DateTime time = DateTime.UtcNow;
        DeviceDescription device = DeviceDescription.Read(settings.Device);
        BuildDescription build = BuildDescription.Read();
        progress($"{device.Name}, compute capability {device.ComputeCapability}");
        // A folder that is not there shall not be found out after half an hour.
        await File.WriteAllTextAsync(settings.Json, "", cancellation);

        progress("correctness: starts; the driver compiles the kernels first");
        CorrectnessResult correctness = await CorrectnessResult.RunAsync(settings, progress, cancellation);
        progress($"correctness: {correctness.Status}");
        SanitizerResult[] tools = [];
        string sanitizerStatus = "did not get so far";
        BenchmarkResult benchmark = BenchmarkResult.NotRun(sanitizerStatus);
        // After each step: whatever ends the next one, this is kept.
        await SaveAsync();

        string? sanitizer = SanitizerResult.Find();
        sanitizerStatus = !settings.Sanitizer ? "left out (--no-sanitizer)" : sanitizer == null ? "compute-sanitizer is neither in PATH nor in /usr/local/cuda/bin" : sanitizer;
        tools = settings.Sanitizer && sanitizer != null ? await SanitizerResult.RunAsync(settings, sanitizer, progress, cancellation) : [];
        await SaveAsync();

        benchmark = settings.Bench ? await BenchmarkResult.RunAsync(settings, progress, cancellation) : BenchmarkResult.NotRun("left out (--no-bench)");

        CheckReport report = await SaveAsync();
        report.Write(output);
        output.WriteLine();
        output.WriteLine($"{(report.IsGood ? "Everything that could run passed." : "FAILED.")} All results: {settings.Json}");
        return report.IsGood ? ExitCode.Success : ExitCode.Failure;

        async Task<CheckReport> SaveAsync()
        {
            const string OnnxRuntime = "this program starts no session on ONNX Runtime's CUDA provider";
            CheckReport sofar = new(time, build, device, correctness, sanitizerStatus, tools, OnnxRuntime, benchmark);
            await File.WriteAllTextAsync(settings.Json, sofar.ToJson() + "\n", cancellation);
            return sofar;
        }
    }
}
