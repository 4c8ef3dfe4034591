using AttentionKernels.Cli.Doctor;
using AttentionKernels.Cuda;

namespace AttentionKernels.Tests.Cuda;

/// <summary>What attnk doctor says of drivers and devices.</summary>
[Collection(CudaCollection.Name)]
public sealed class GpuExaminationTests : IDisposable
{
    private readonly StubDriver _stub;

    public GpuExaminationTests(StubDriver stub)
    {
        _stub = stub;
        _stub.Reset();
        Environment.SetEnvironmentVariable(CudaDriver.Variable, stub.Path);
    }

    public void Dispose()
    {
        Environment.SetEnvironmentVariable(CudaDriver.Variable, null);
        Assert.Equal(0, _stub.Depth);
    }

    [Fact]
    public void A_Missing_Driver_Is_Named_By_The_Variable_And_Not_Needed()
    {
        Environment.SetEnvironmentVariable(CudaDriver.Variable, "/nowhere/libcuda.so.1");
        Finding finding = Assert.Single(GpuExamination.Run());
        Assert.Equal(("CUDA driver", Verdict.Absent, (string?)null), (finding.Subject, finding.Verdict, finding.Remedy));
        Assert.StartsWith("no CUDA driver (/nowhere/libcuda.so.1) on this machine: install NVIDIA's driver", finding.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Each_Device_That_Loads_A_Kernel_Is_Fine()
    {
        IReadOnlyList<Finding> findings = GpuExamination.Run();
        Assert.Equal(["CUDA 12.4, devices: 2", Device(0), Device(1)], findings.Select(finding => finding.Text));
        Assert.All(findings, finding => Assert.Equal((Verdict.Fine, (string?)null), (finding.Verdict, finding.Remedy)));
        Assert.Equal(2, _stub.CallNames.Count(name => name == "cuModuleLoadDataEx"));

        static string Device(int n) =>
            $"Stub GPU {n}, compute capability 8.0, 81920 MiB: has room for {KernelManifest.Embedded.Entries.Count} of the {KernelManifest.Embedded.Entries.Count} kernels (PrefillPlain_bf16_128 loads); this tool itself runs on the CPU";
    }

    [Fact]
    public void An_Old_Device_Is_Told_Before_Anything_Is_Loaded()
    {
        _stub.Set("capability", 7);
        Finding[] findings = [.. GpuExamination.Run()];
        Assert.Equal([Verdict.Fine, Verdict.Absent, Verdict.Absent], findings.Select(finding => finding.Verdict));
        Assert.Contains("compute capability 7.0, 81920 MiB: too old for the kernels, which need 8.0 or newer", findings[1].Text, StringComparison.Ordinal);
        Assert.StartsWith("use a newer GPU", findings[1].Remedy, StringComparison.Ordinal);
        Assert.DoesNotContain("cuModuleLoadDataEx", _stub.CallNames);
    }

    [Fact]
    public void A_Kernel_That_Does_Not_Load_Is_Told_With_What_The_Compiler_Said()
    {
        _stub.Fail("cuModuleLoadDataEx", 1, 218);
        Finding[] findings = [.. GpuExamination.Run()];
        Assert.Equal([Verdict.Fine, Verdict.Absent, Verdict.Fine], findings.Select(finding => finding.Verdict));
        Assert.Contains("a kernel does not load: cuModuleLoadDataEx of PrefillPlain_bf16_128.ptx failed with CUDA_ERROR_INVALID_PTX (218)", findings[1].Text, StringComparison.Ordinal);
        Assert.Contains("line 7; error", findings[1].Text, StringComparison.Ordinal);
        Assert.StartsWith("update NVIDIA's driver to 520", findings[1].Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_Driver_That_Answers_With_An_Error_Is_Not_Needed()
    {
        _stub.Fail("cuDeviceGetCount", 1, 719);
        Finding finding = Assert.Single(GpuExamination.Run());
        Assert.Equal(Verdict.Absent, finding.Verdict);
        Assert.StartsWith("cuDeviceGetCount failed with CUDA_ERROR_LAUNCH_FAILED (719)", finding.Text, StringComparison.Ordinal);
        Assert.Contains("nvidia-smi", finding.Remedy, StringComparison.Ordinal);
    }
}
