using AttentionKernels.Cuda;

namespace AttentionKernels.Cli.Doctor;

/// <summary>Looks at the driver that operators on CUDAExecutionProvider would use, and whether its devices run their kernels. Nothing here is needed by the CPU engine.</summary>
internal static class GpuExamination
{
    private const int LeastCapability = 8;

    /// <summary>The findings: the driver, then each device.</summary>
    public static IReadOnlyList<Finding> Run()
    {
        const string subject = "CUDA driver";
        List<Finding> findings = [];
        try
        {
            CudaDriver driver = CudaDriver.Default;
            int version = driver.Version(), devices = driver.DeviceCount();
            string found = $"CUDA {version / 1000}.{version % 1000 / 10}";
            findings.Add(devices > 0 ? new Finding(subject, Verdict.Fine, $"{found}, devices: {devices}")
                : new Finding(subject, Verdict.Absent, $"{found}, but no device is visible: not needed, the CPU engine works without one", "to use a GPU, see that CUDA_VISIBLE_DEVICES is unset or names one"));
            for (int ordinal = 0; ordinal < devices; ordinal++)
            {
                findings.Add(Device(driver, ordinal));
            }
        }
        catch (CudaException e)
        {
            // Of a missing driver the message says what to do.
            findings.Add(new Finding(
                subject, Verdict.Absent, e.Message, e.Code == 0 ? null : "the CPU engine works without it; to use a GPU, see that nvidia-smi works and that its version is that of the loaded kernel module"));
        }
        return findings;
    }

    private static Finding Device(CudaDriver driver, int ordinal)
    {
        string subject = $"CUDA device {ordinal}";
        int device = driver.Device(ordinal), major = driver.Attribute(device, CudaNative.CapabilityMajor), minor = driver.Attribute(device, CudaNative.CapabilityMinor);
        string found = $"{driver.DeviceName(device)}, compute capability {major}.{minor}, {driver.DeviceMemory(device) >> 20} MiB";
        KernelManifest kernels = KernelManifest.Embedded;
        if (major < LeastCapability)
        {
            return new Finding(
                subject, Verdict.Absent, $"{found}: too old for the kernels, which need {LeastCapability}.0 or newer", "use a newer GPU on CUDAExecutionProvider; the CPU engine works without one");
        }
        try
        {
            // A large one that every device has the shared memory for. The driver compiles the others in the same way.
            CudaContext context = new(driver, ordinal, kernels);
            KernelEntry kernel = context.Kernels.Find("PrefillPlain", ElementType.BFloat16, 128)!;
            context.Load([kernel]);
            return new Finding(
                subject, Verdict.Fine, $"{found}: has room for {context.Kernels.Entries.Count} of the {kernels.Entries.Count} kernels ({kernel.Name} loads); this tool itself runs on the CPU");
        }
        catch (CudaException e)
        {
            return new Finding(subject, Verdict.Absent, $"{found}: a kernel does not load: {e.Message}", "update NVIDIA's driver to 520 or newer; the CPU engine works without it");
        }
    }
}
