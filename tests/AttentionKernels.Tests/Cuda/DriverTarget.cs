using System.Runtime.InteropServices;
using AttentionKernels.Cuda;

namespace AttentionKernels.Tests.Cuda;

/// <summary>
/// A driver and a device of it. That is the one which <see cref="TestDevice.Variable"/> names, of the system's driver or of the file in <see cref="CudaDriver.Variable"/>; or else the stub of
/// these tests. Behind a stub, whichever way it was named, the emulator computes: that is how the code that drives a device runs where there is none.
/// </summary>
internal sealed class DriverTarget
{
    private static readonly Lazy<DriverTarget> Only = new(() =>
    {
        string? named = Environment.GetEnvironmentVariable(CudaDriver.Variable);
        string usual = OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1";
        return new DriverTarget(CudaContext.OfDevice(TestDevice.Ordinal!.Value), NativeLibrary.Load(string.IsNullOrEmpty(named) ? usual : named));
    });

    private DriverTarget(CudaContext context, nint library)
    {
        Context = context;
        Api = new DriverApi(library);
        Processor = NativeLibrary.TryGetExport(library, "stub_set_hooks", out _) ? new StubProcessor(library, ownsMemory: true) : null;
    }

    /// <summary>The device that is named.</summary>
    public static DriverTarget Current => Only.Value;

    public CudaContext Context { get; }

    public DriverApi Api { get; }

    /// <summary>The emulator behind the stub; null: a real device computes.</summary>
    public StubProcessor? Processor { get; }

    /// <summary>The device that is named, or else the stub, until it is reset.</summary>
    public static DriverTarget Open(StubDriver stub)
    {
        if (TestDevice.Ordinal != null)
        {
            return Current;
        }
        stub.Reset();
        return new DriverTarget(new CudaContext(new CudaDriver(stub.Path), 0, KernelManifest.Embedded), stub.Library);
    }
}
