using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text;
using AttentionKernels.Bench.Device;
using AttentionKernels.Cuda;
using AttentionKernels.Tests.Cuda;
using AttentionKernels.Tests.PtxEmulator;

namespace AttentionKernels.Tests.Bench;

/// <summary>A device for the benchmark: the stub driver's memory and times, kernels on the PTX emulator. One at a time.</summary>
internal sealed unsafe class DeviceStub : IDisposable
{
    private static readonly ConcurrentDictionary<string, PtxModule> Modules = new();
    private static readonly Dictionary<string, KernelEntry> Kernels = KernelManifest.Embedded.Entries.ToDictionary(kernel => kernel.Name);
    private static DeviceStub? _current;

    private readonly StubDriver _stub;
    private readonly GlobalMemory _memory = new();

    // A benchmark runs the same call over the same memory many times, and the emulator takes up to a second for each: a launch that already came after the same one is left out.
    private readonly HashSet<(string Before, string Launch)> _done = [];
    private string _before = "";

    /// <param name="stub">The driver.</param>
    /// <param name="microseconds">What lies between any two events.</param>
    public DeviceStub(StubDriver stub, int microseconds)
    {
        (_stub, _current) = (stub, this);
        stub.Reset();
        stub.Set("elapsed", microseconds);
        delegate* unmanaged<byte*, uint*, uint, uint, byte*, int, int> launch = &Launch;
        delegate* unmanaged<ulong, nuint, void> written = &Written, memory = &Allocated;
        nint library = NativeLibrary.Load(stub.Path);
        ((delegate* unmanaged<void*, void*, void>)NativeLibrary.GetExport(library, "stub_set_hooks"))(launch, written);
        ((delegate* unmanaged<void*, void>)NativeLibrary.GetExport(library, "stub_set_memory_hook"))(memory);
        Gpu = new GpuDevice(new CudaContext(new CudaDriver(stub.Path), 0, KernelManifest.Embedded), 0);
    }

    public GpuDevice Gpu { get; }

    /// <summary>A kernel whose results are damaged: the stem; null: none.</summary>
    public string? Damaged { get; set; }

    /// <summary>A kernel that fails: the stem; null: none.</summary>
    public string? Failing { get; set; }

    public void Dispose()
    {
        Gpu.Dispose();
        ((delegate* unmanaged<void*, void>)NativeLibrary.GetExport(NativeLibrary.Load(_stub.Path), "stub_set_memory_hook"))(null);
        _stub.Reset();
        _current = null;
    }

    [UnmanagedCallersOnly]
    private static int Launch(byte* name, uint* grid, uint threads, uint sharedBytes, byte* parameters, int bytes)
    {
        const int LaunchFailed = 719;
        DeviceStub device = _current!;
        try
        {
            KernelEntry kernel = Kernels[Marshal.PtrToStringUTF8((nint)name)!];
            if (kernel.Kernel == device.Failing)
            {
                return LaunchFailed;
            }
            string launch = $"{kernel.Name} {grid[0]} {grid[1]} {grid[2]} {Convert.ToHexString(new ReadOnlySpan<byte>(parameters, bytes))}";
            bool isNew = device._done.Add((device._before, launch));
            device._before = launch;
            if (!isNew)
            {
                return 0;
            }
            PtxModule module = Modules.GetOrAdd(kernel.File, file => PtxModule.Parse(Encoding.UTF8.GetString(KernelResources.ReadPtx(file).AsSpan()[..^1])));
            PtxLaunch.Run(
                module, kernel.Name, new PtxBlockIndex((int)grid[0], (int)grid[1], (int)grid[2]), (int)threads, (int)sharedBytes, new ReadOnlySpan<byte>(parameters, bytes), device._memory,
                new PtxOptions { Workers = 2 });
            if (kernel.Kernel == device.Damaged)
            {
                device.Damage(kernel, parameters);
            }
            return 0;
        }
        catch (Exception e) when (e is PtxException or ArgumentException or InvalidOperationException)
        {
            Console.Error.WriteLine(e);
            return LaunchFailed;
        }
    }

    /// <summary>Turns an exponent bit of the first number of what a kernel writes.</summary>
    private void Damage(KernelEntry kernel, byte* parameters)
    {
        int offset = 0;
        foreach (KernelParameter parameter in kernel.Parameters)
        {
            int size = KernelParameters.TypeOf(parameter) == KernelParameterType.Int64 ? 8 : 4;
            offset = (offset + size - 1) / size * size;
            if (parameter is KernelParameter.Output or KernelParameter.HeadScores)
            {
                ((byte*)*(long*)(parameters + offset))[parameter == KernelParameter.Output ? 1 : 3] ^= 0x40;
            }
            offset += size;
        }
    }

    [UnmanagedCallersOnly]
    private static void Written(ulong address, nuint bytes) => _current!._memory.MarkInitialised((void*)address, bytes);

    [UnmanagedCallersOnly]
    private static void Allocated(ulong address, nuint bytes)
    {
        if (bytes == 0)
        {
            _current!._memory.Unregister((void*)address);
            _current._done.Clear();
        }
        else
        {
            _current!._memory.Register((void*)address, bytes, initialised: false, writable: true, $"{bytes} bytes of the device");
        }
    }
}
