using System.Text.Json;
using AttentionKernels.Cuda;
using AttentionKernels.GpuCheck;
using AttentionKernels.Tests.Cuda;
using AttentionKernels.Tests.Native;

namespace AttentionKernels.Tests.GpuCheck;

/// <summary>gpu-check without a GPU: no driver, the stub with the emulator behind it, and programs that behave as tests do.</summary>
[Collection(CudaCollection.Name)]
public sealed class GpuCheckToolTests : IDisposable
{
    private readonly StubDriver _stub;
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("attention-kernels-gpu-check-");
    private readonly string? _driver = Environment.GetEnvironmentVariable(CudaDriver.Variable);
    private readonly string? _path = Environment.GetEnvironmentVariable("PATH");

    public GpuCheckToolTests(StubDriver stub)
    {
        _stub = stub;
        _stub.Reset();
        Environment.SetEnvironmentVariable(CudaDriver.Variable, stub.Path);
    }

    public void Dispose()
    {
        Environment.SetEnvironmentVariable(CudaDriver.Variable, _driver);
        Environment.SetEnvironmentVariable("PATH", _path);
        _folder.Delete(recursive: true);
    }

    /// <summary>This very program, as a user of the packed folder starts it.</summary>
    private static string[] ThisProgram => [Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", "exec", typeof(GpuCheckToolTests).Assembly.Location];

    private string Json => Path.Combine(_folder.FullName, "result.json");

    [Fact]
    public async Task Help_Has_Every_Option()
    {
        (int code, string output, _) = await Invoke(["--help"], []);
        Assert.Equal(0, code);
        Assert.All(["--json", "--quick", "--device", "--no-sanitizer", "--no-bench", "--python", "--seed", "--only", "--cases", "Exit code: 0"], text => Assert.Contains(text, output, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("Unrecognized command or argument '--fast'", "--fast")]
    [InlineData("--device is -1, expected 0 or more", "--device", "-1")]
    public async Task A_Wrong_Command_Line_Is_Named(string message, params string[] arguments)
    {
        (int code, _, string error) = await Invoke(arguments, []);
        Assert.Equal(2, code);
        Assert.Contains(message, error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_A_Driver_Nothing_Runs_And_The_Launcher_Says_Why()
    {
        Environment.SetEnvironmentVariable(CudaDriver.Variable, "/nowhere/libcuda.so.1");
        (int code, string output, string error) = await Invoke(["--json", Json], ["/nowhere/tests"]);
        Assert.Equal(3, code);
        Assert.StartsWith("gpu-check: no CUDA driver (/nowhere/libcuda.so.1) on this machine: install NVIDIA's driver", error, StringComparison.Ordinal);
        Assert.Empty(output);
        Assert.False(File.Exists(Json));
    }

    [Fact]
    public async Task A_Device_That_Is_Too_Old_And_One_That_Is_Not_There_Are_Refused()
    {
        _stub.Set("capability", 7);
        (int code, _, string error) = await Invoke(["--json", Json, "--device", "1"], ["/nowhere/tests"]);
        Assert.Equal((3, "gpu-check: CUDA device 1 has compute capability 7.0, expected 8.0 or higher"), (code, error.Trim()));
        (code, _, error) = await Invoke(["--json", Json, "--device", "7"], ["/nowhere/tests"]);
        Assert.Equal(3, code);
        Assert.Contains("CUDA_ERROR_INVALID_DEVICE", error, StringComparison.Ordinal);
    }

    /// <summary>Laws run in a child process through the driver's functions: those of the stub, with the emulator behind them. A sanitizer that finds nothing runs the same child.</summary>
    [Fact]
    public async Task Laws_Run_On_The_Device_Of_The_Driver_And_Under_A_Sanitizer()
    {
        Sanitizer("========= ERROR SUMMARY: 0 errors", 0);
        (int code, string output, string error) = await Invoke(["--json", Json, "--quick", "--no-bench", "--only", "KernelTests.Lengths_"], ThisProgram);
        Assert.True(code == 0, output + error);
        Assert.Contains("Stub GPU 0, compute capability 8.0, 108 multiprocessors, 80 GiB", output, StringComparison.Ordinal);
        Assert.Contains("correctness        passed   11 passed, 0 failed", output, StringComparison.Ordinal);
        Assert.Contains("memcheck           passed   0 errors in 11 tests", output, StringComparison.Ordinal);
        Assert.Contains("benchmark          not run", output, StringComparison.Ordinal);
        Assert.Contains("Everything that could run passed.", output, StringComparison.Ordinal);
        JsonElement report = JsonDocument.Parse(File.ReadAllText(Json)).RootElement;
        Assert.Equal("12.4", report.GetProperty("device").GetProperty("cudaVersion").GetString());
        Assert.Equal(KernelManifest.Embedded.Entries.Count, report.GetProperty("build").GetProperty("kernelCount").GetInt32());
        Assert.Equal(11, report.GetProperty("correctness").GetProperty("tests").GetProperty("passed").GetInt32());
        Assert.True(report.GetProperty("isGood").GetBoolean());
        // The child passes its launches to the stub, whose kernels compute: nothing of this process's stub is called for it.
        Assert.DoesNotContain(_stub.CallNames, name => name == "cuLaunchKernel");
    }

    /// <summary>What a sanitizer sees are all kernels.</summary>
    [Fact]
    public async Task The_Laws_For_A_Sanitizer_Launch_Every_Kernel()
    {
        string launches = Path.Combine(_folder.FullName, "launches");
        CheckSettings settings = new(Json, true, 0, true, false, null, null, null, null, ThisProgram);
        (TestResults? results, ChildRun run) = await TestRun.RunAsync(
            settings, [], SanitizerResult.Filters(settings), [("STUB_LAUNCHES", launches)], TimeSpan.FromMinutes(10), "laws", _ => { }, TestContext.Current.CancellationToken);
        Assert.True(results is { IsGood: true }, string.Join('\n', results?.Failures.Select(failure => failure.Test + failure.Message) ?? run.Lines));
        Assert.Equal(KernelManifest.Embedded.Entries.Select(kernel => kernel.Name).Order(StringComparer.Ordinal), File.ReadLines(launches).Distinct().Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_Law_That_Does_Not_Hold_Fails_The_Check_And_Says_How_To_Replay_It()
    {
        string[] tests = Program(
            "failed",
            """
            <assemblies><assembly passed="3" failed="1" skipped="0" not-run="0" time="1.5"><collection><test name="A.B" result="Pass"/><test name="A.Law" result="Fail">
            <failure><message>output[3] is 1, expected 2; replay with: ATTNK_TEST_DEVICE=0 ATTNK_CASE="B=1"</message></failure></test></collection></assembly></assemblies>
            """,
            1);
        (int code, string output, _) = await Invoke(["--json", Json, "--no-sanitizer", "--no-bench"], tests);
        Assert.Equal(1, code);
        Assert.Contains("correctness        FAILED   3 passed, 1 failed", output, StringComparison.Ordinal);
        Assert.Contains("A.Law\n  output[3] is 1, expected 2; replay with: ATTNK_TEST_DEVICE=0", output.ReplaceLineEndings("\n"), StringComparison.Ordinal);
        Assert.Contains("left out (--no-sanitizer)", output, StringComparison.Ordinal);
        JsonElement failure = JsonDocument.Parse(File.ReadAllText(Json)).RootElement.GetProperty("correctness").GetProperty("tests").GetProperty("failures")[0];
        Assert.Equal("A.Law", failure.GetProperty("test").GetString());
        Assert.EndsWith("ATTNK_CASE=\"B=1\"", failure.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    /// <summary>The benchmark comes after the laws, and what it cannot do fails the check.</summary>
    [Fact]
    public async Task A_Benchmark_Without_A_Case_Fails_The_Check()
    {
        string[] tests = Program("passed", "<assemblies><assembly passed=\"3\" failed=\"0\" skipped=\"0\" not-run=\"0\" time=\"1\"/></assemblies>", 0);
        (int code, string output, _) = await Invoke(["--json", Json, "--no-sanitizer", "--cases", "S=7 sideways"], tests);
        Assert.Equal(1, code);
        Assert.Contains("correctness        passed   3 passed, 0 failed", output, StringComparison.Ordinal);
        Assert.Contains("benchmark          FAILED   no case contains 'S=7 sideways'; the cases are: ", output, StringComparison.Ordinal);
        JsonElement benchmark = JsonDocument.Parse(File.ReadAllText(Json)).RootElement.GetProperty("benchmark");
        Assert.True(benchmark.GetProperty("ran").GetBoolean());
        Assert.Equal(JsonValueKind.Null, benchmark.GetProperty("results").ValueKind);
    }

    [Theory]
    [InlineData("<assemblies><assembly passed=\"0\" failed=\"0\" skipped=\"0\" not-run=\"0\" time=\"0\"/></assemblies>", 0, "no test ran")]
    [InlineData("<assemblies><assembly passed=\"2\" failed=\"0\" skipped=\"1\" not-run=\"0\" time=\"0\"/></assemblies>", 0, "2 passed, 0 failed, 1 did not run")]
    [InlineData("<assemblies><assembly passed=\"2\" failed=\"0\" skipped=\"0\" not-run=\"0\" time=\"0\"/></assemblies>", 9, "2 passed, 0 failed")]
    [InlineData("", 134, "the tests did not get to their end: exit code 134; something broke")]
    public async Task Only_Tests_That_Ran_To_Their_End_Pass(string results, int exit, string status)
    {
        (int code, string output, _) = await Invoke(["--json", Json, "--no-sanitizer", "--no-bench"], Program("tests", results, exit));
        Assert.Equal(1, code);
        Assert.Contains($"correctness        FAILED   {status}", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_A_Sanitizer_Finds_Fails_The_Check()
    {
        Sanitizer("========= Invalid __global__ read of size 4 bytes\n========= ERROR SUMMARY: 2 errors", 0);
        string[] tests = Program("passed", "<assemblies><assembly passed=\"2\" failed=\"0\" skipped=\"0\" not-run=\"0\" time=\"0\"/></assemblies>", 0);
        (int code, string output, _) = await Invoke(["--json", Json, "--quick", "--no-bench"], tests);
        Assert.Equal(1, code);
        Assert.Contains("correctness        passed   2 passed", output, StringComparison.Ordinal);
        Assert.Contains("memcheck           FAILED   2 errors in 2 tests", output, StringComparison.Ordinal);
        Assert.Contains("  ========= Invalid __global__ read", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("========= ERROR SUMMARY: 0 errors", true, 0)]
    [InlineData("========= ERROR SUMMARY: 1 error", false, 1)]
    [InlineData("========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)", true, 0)]
    [InlineData("========= RACECHECK SUMMARY: 3 hazards displayed (1 error, 2 warnings)", false, 3)]
    [InlineData("nothing of the kind", false, null)]
    public void A_Tools_Summary_Is_Read(string line, bool isGood, int? errors)
    {
        SanitizerResult result = SanitizerResult.Judge("racecheck", new TestResults(4, 0, 0, 1, []), new ChildRun(0, ["========= COMPUTE-SANITIZER", line]));
        Assert.Equal((isGood, errors), (result.IsGood, result.Errors));
    }

    [Fact]
    public async Task Ctrl_C_Stops_The_Tests()
    {
        using CancellationTokenSource cancel = new();
        string pid = Path.Combine(_folder.FullName, "pid"), script = Script("slow", $"echo $$ > {pid}; sleep 1000");
        using Timer timer = new(
            _ =>
            {
                if (File.Exists(pid) && new FileInfo(pid).Length > 0)
                {
                    cancel.Cancel();
                }
            },
            null, 50, 50);
        (int code, _, string error) = await Invoke(["--json", Json], ["/bin/sh", script], cancel.Token);
        Assert.Equal(130, code);
        Assert.EndsWith("gpu-check: cancelled.", error.Trim(), StringComparison.Ordinal);
        Assert.False(Directory.Exists($"/proc/{File.ReadAllText(pid).Trim()}"));
    }

    private static async Task<(int Code, string Output, string Error)> Invoke(string[] arguments, string[] tests, CancellationToken cancellation = default)
    {
        using StringWriter output = new(), error = new();
        int code = await GpuCheckTool.InvokeAsync(arguments, output, error, tests, cancellation);
        return (code, output.ToString(), error.ToString());
    }

    /// <summary>A program that leaves these results where it is told to, or none, and ends with a code.</summary>
    private string[] Program(string name, string results, int code)
    {
        string file = Path.Combine(_folder.FullName, name + ".xml");
        File.WriteAllText(file, results);
        return ["/bin/sh", Script(name, $"echo something broke; for last; do :; done; [ -s {file} ] && cp {file} \"$last\"; exit {code}")];
    }

    /// <summary>Puts a compute-sanitizer in front of PATH, which runs what it is given and then says something.</summary>
    private void Sanitizer(string says, int code)
    {
        string script = Path.Combine(_folder.FullName, "compute-sanitizer");
        File.WriteAllText(script, $"#!/bin/sh\nshift 4\n\"$@\"\nprintf '%s\\n' '{says}'\nexit {code}\n");
        ChildProcess.Run("chmod", "+x", script).Succeeded();
        Environment.SetEnvironmentVariable("PATH", $"{_folder.FullName}{Path.PathSeparator}{_path}");
    }

    private string Script(string name, string text)
    {
        string file = Path.Combine(_folder.FullName, name);
        File.WriteAllText(file, text + "\n");
        return file;
    }
}
