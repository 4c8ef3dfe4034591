using System.Runtime.InteropServices;
using System.Text;
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
    private const int NameBytes = 256;
    private const string KernelModule = "/sys/module/nvidia/version";

    /// <summary>Asks the driver that the launcher uses.</summary>
    /// <exception cref="CudaException">There is no driver, no such device, or one that the kernels do not run on.</exception>
    public static unsafe DeviceDescription Read(int ordinal)
    {
        // The launcher's own checks, with its own words.
        CudaContext context = CudaContext.OfDevice(ordinal);
        CudaDriver driver = context.Driver;
        int device = driver.Device(ordinal);
        string? named = Environment.GetEnvironmentVariable(CudaDriver.Variable);
        nint library = NativeLibrary.Load(string.IsNullOrEmpty(named) ? OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1" : named);
        byte* name = stackalloc byte[NameBytes];
        nuint bytes;
        int version;
        Check(((delegate* unmanaged<byte*, int, int, int>)NativeLibrary.GetExport(library, "cuDeviceGetName"))(name, NameBytes, device), "cuDeviceGetName");
        Check(((delegate* unmanaged<nuint*, int, int>)NativeLibrary.GetExport(library, "cuDeviceTotalMem_v2"))(&bytes, device), "cuDeviceTotalMem");
        Check(((delegate* unmanaged<int*, int>)NativeLibrary.GetExport(library, "cuDriverGetVersion"))(&version), "cuDriverGetVersion");
        ReadOnlySpan<byte> text = new(name, NameBytes);
        int end = text.IndexOf((byte)0);
        return new DeviceDescription(
            ordinal,
            Encoding.UTF8.GetString(end < 0 ? text : text[..end]),
            $"{driver.Attribute(device, CudaNative.CapabilityMajor)}.{driver.Attribute(device, CudaNative.CapabilityMinor)}",
            context.Multiprocessors,
            (long)bytes,
            $"{version / 1000}.{version % 1000 / 10}",
            File.Exists(KernelModule) ? File.ReadAllText(KernelModule).Trim() : null);
    }

    private static void Check(int result, string call)
    {
        if (result != CudaNative.Success)
        {
            throw new IOException($"{call} failed with CUresult {result}");
        }
    }
}
