using AttentionKernels.Cuda;

namespace AttentionKernels.GpuCheck;

/// <summary>The device that is checked.</summary>
/// <param name="Ordinal">Its number among the visible ones.</param>
/// <param name="Name">What the driver calls it.</param>
/// <param name="ComputeCapability">As "9.0".</param>
/// <param name="Multiprocessors">Multiprocessors.</param>
/// <param name="MemoryBytes">Its memory.</param>
/// <param name="CudaVersion">The newest CUDA that the driver knows, as "12.8".</param>
/// <param name="DriverVersion">Version of the kernel module, as "570.86.15"; null: unknown.</param>
internal sealed record DeviceDescription(int Ordinal, string Name, string ComputeCapability, int Multiprocessors, long MemoryBytes, string CudaVersion, string? DriverVersion)
{
    private const int LeastCapability = 8;
    private const string KernelModule = "/sys/module/nvidia/version";

    /// <summary>Asks the driver that the launcher uses, without a context: a device may be one process's alone, and the tests' program is another.</summary>
    /// <exception cref="CudaException">There is no driver, no such device, or one that the kernels do not run on.</exception>
    public static DeviceDescription Read(int ordinal)
    {
        CudaDriver driver = CudaDriver.Default;
        int device = driver.Device(ordinal), version = driver.Version();
        int major = driver.Attribute(device, CudaNative.CapabilityMajor), minor = driver.Attribute(device, CudaNative.CapabilityMinor);
        return major < LeastCapability
            ? throw new CudaException($"CUDA device {ordinal} has compute capability {major}.{minor}, expected {LeastCapability}.0 or higher")
            : new DeviceDescription(
                ordinal,
                driver.DeviceName(device),
                $"{major}.{minor}",
                driver.Attribute(device, CudaNative.MultiprocessorCount),
                driver.DeviceMemory(device),
                $"{version / 1000}.{version % 1000 / 10}",
                File.Exists(KernelModule) ? File.ReadAllText(KernelModule).Trim() : null);
    }
}
