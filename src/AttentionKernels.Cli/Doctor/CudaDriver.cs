using System.Runtime.InteropServices;
using System.Text;

namespace AttentionKernels.Cli.Doctor;

/// <summary>Asks NVIDIA's driver, if there is one, what it drives.</summary>
/// <remarks>The library stays loaded: a driver that has been initialized is not to be unloaded.</remarks>
internal static unsafe class CudaDriver
{
    private const int NameBytes = 256;

    private static string LibraryName => OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1";

    /// <summary>The driver as a finding; without one the CPU engine works all the same.</summary>
    public static Finding Look()
    {
        if (!NativeLibrary.TryLoad(LibraryName, out nint library))
        {
            return new Finding("CUDA driver", Verdict.Absent, $"{LibraryName} is not on this machine: not needed, the CPU engine works without it");
        }
        try
        {
            return new Finding("CUDA driver", Verdict.Fine, Ask(library));
        }
        catch (Exception e) when (e is CudaException or EntryPointNotFoundException)
        {
            return new Finding(
                "CUDA driver", Verdict.Absent, $"{LibraryName} is there but does not work ({e.Message}): not needed, the CPU engine works without it",
                "to use the GPU elsewhere, see that nvidia-smi works and that its version is that of the loaded kernel module");
        }
    }

    private static string Ask(nint library)
    {
        Check("cuInit", ((delegate* unmanaged<uint, int>)NativeLibrary.GetExport(library, "cuInit"))(0));
        int version;
        Check("cuDriverGetVersion", ((delegate* unmanaged<int*, int>)NativeLibrary.GetExport(library, "cuDriverGetVersion"))(&version));
        int count;
        Check("cuDeviceGetCount", ((delegate* unmanaged<int*, int>)NativeLibrary.GetExport(library, "cuDeviceGetCount"))(&count));
        string[] names = new string[count];
        byte* name = stackalloc byte[NameBytes];
        for (int ordinal = 0; ordinal < count; ordinal++)
        {
            int device;
            Check("cuDeviceGet", ((delegate* unmanaged<int*, int, int>)NativeLibrary.GetExport(library, "cuDeviceGet"))(&device, ordinal));
            Check("cuDeviceGetName", ((delegate* unmanaged<byte*, int, int, int>)NativeLibrary.GetExport(library, "cuDeviceGetName"))(name, NameBytes, device));
            ReadOnlySpan<byte> text = new(name, NameBytes);
            int end = text.IndexOf((byte)0);
            names[ordinal] = Encoding.UTF8.GetString(end < 0 ? text : text[..end]);
        }
        return $"CUDA {version / 1000}.{version % 1000 / 10}, {count} devices{(count == 0 ? "" : $" ({string.Join(", ", names)})")}";
    }

    private static void Check(string function, int result)
    {
        if (result != 0)
        {
            throw new CudaException($"{function} returned error {result}");
        }
    }

    private sealed class CudaException(string message) : Exception(message);
}
