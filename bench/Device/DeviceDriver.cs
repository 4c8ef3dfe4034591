using System.Runtime.InteropServices;
using System.Text;
using AttentionKernels.Cuda;
using static AttentionKernels.Cuda.CudaNative;

namespace AttentionKernels.Bench.Device;

/// <summary>
/// What measuring wants of the CUDA driver API beside what the library calls: memory, a stream, events that know the time, copies on the device, properties. All but
/// <see cref="Name"/> and <see cref="Version"/> work in the context that is this thread's.
/// </summary>
internal sealed unsafe class DeviceDriver
{
    private const int NameBytes = 256;

    private readonly CudaDriver _driver;
    private readonly delegate* unmanaged<ulong*, nuint, int> _allocate;
    private readonly delegate* unmanaged<ulong, int> _free;
    private readonly delegate* unmanaged<nuint*, nuint*, int> _memoryInfo;
    private readonly delegate* unmanaged<WorkStream**, uint, int> _streamCreate;
    private readonly delegate* unmanaged<WorkStream*, int> _streamDestroy;
    private readonly delegate* unmanaged<WorkStream*, int> _streamSynchronize;
    private readonly delegate* unmanaged<Event**, uint, int> _eventCreate;
    private readonly delegate* unmanaged<Event*, int> _eventDestroy;
    private readonly delegate* unmanaged<float*, Event*, Event*, int> _eventElapsed;
    private readonly delegate* unmanaged<ulong, ulong, nuint, WorkStream*, int> _copy;
    private readonly delegate* unmanaged<byte*, int, int, int> _deviceName;
    private readonly delegate* unmanaged<int*, int> _driverVersion;

    /// <summary>Finds the functions in the library that a driver was loaded from.</summary>
    /// <exception cref="CudaException">One is missing.</exception>
    public DeviceDriver(CudaDriver driver)
    {
        _driver = driver;
        nint library = NativeLibrary.Load(driver.File);
        try
        {
            _allocate = (delegate* unmanaged<ulong*, nuint, int>)NativeLibrary.GetExport(library, "cuMemAlloc_v2");
            _free = (delegate* unmanaged<ulong, int>)NativeLibrary.GetExport(library, "cuMemFree_v2");
            _memoryInfo = (delegate* unmanaged<nuint*, nuint*, int>)NativeLibrary.GetExport(library, "cuMemGetInfo_v2");
            _streamCreate = (delegate* unmanaged<WorkStream**, uint, int>)NativeLibrary.GetExport(library, "cuStreamCreate");
            _streamDestroy = (delegate* unmanaged<WorkStream*, int>)NativeLibrary.GetExport(library, "cuStreamDestroy_v2");
            _streamSynchronize = (delegate* unmanaged<WorkStream*, int>)NativeLibrary.GetExport(library, "cuStreamSynchronize");
            _eventCreate = (delegate* unmanaged<Event**, uint, int>)NativeLibrary.GetExport(library, "cuEventCreate");
            _eventDestroy = (delegate* unmanaged<Event*, int>)NativeLibrary.GetExport(library, "cuEventDestroy_v2");
            _eventElapsed = (delegate* unmanaged<float*, Event*, Event*, int>)NativeLibrary.GetExport(library, "cuEventElapsedTime");
            _copy = (delegate* unmanaged<ulong, ulong, nuint, WorkStream*, int>)NativeLibrary.GetExport(library, "cuMemcpyDtoDAsync_v2");
            _deviceName = (delegate* unmanaged<byte*, int, int, int>)NativeLibrary.GetExport(library, "cuDeviceGetName");
            _driverVersion = (delegate* unmanaged<int*, int>)NativeLibrary.GetExport(library, "cuDriverGetVersion");
        }
        catch (EntryPointNotFoundException e)
        {
            throw new CudaException($"the CUDA driver ({driver.File}) cannot be measured with: {e.Message}");
        }
    }

    /// <summary>A device's name.</summary>
    public string Name(int device)
    {
        byte* name = stackalloc byte[NameBytes];
        _driver.Check(_deviceName(name, NameBytes, device), "cuDeviceGetName");
        ReadOnlySpan<byte> text = new(name, NameBytes);
        int end = text.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? text : text[..end]);
    }

    /// <summary>The newest CUDA that the driver knows, as "12.8".</summary>
    public string Version()
    {
        int version;
        _driver.Check(_driverVersion(&version), "cuDriverGetVersion");
        return FormattableString.Invariant($"{version / 1000}.{version % 1000 / 10}");
    }

    /// <summary>Bytes of device memory that are free, and all of them.</summary>
    public (nuint Free, nuint Total) Memory()
    {
        nuint free, total;
        _driver.Check(_memoryInfo(&free, &total), "cuMemGetInfo");
        return (free, total);
    }

    /// <summary>Device memory, not cleared, 256-byte aligned.</summary>
    public void* Allocate(nuint bytes)
    {
        ulong address;
        _driver.Check(_allocate(&address, bytes), $"cuMemAlloc of {bytes} bytes");
        return (void*)address;
    }

    /// <summary>Gives memory back, after whatever uses it. Does not fail, as the other ends here: after a kernel that faulted every call does, and what was found before must not be lost for it.</summary>
    public void Free(void* memory) => _ = _free((ulong)memory);

    /// <summary>A stream that waits for no other.</summary>
    public WorkStream* CreateStream()
    {
        const uint NonBlocking = 1;
        WorkStream* stream;
        _driver.Check(_streamCreate(&stream, NonBlocking), "cuStreamCreate");
        return stream;
    }

    /// <summary>Ends a stream.</summary>
    public void Destroy(WorkStream* stream) => _ = _streamDestroy(stream);

    /// <summary>Waits for all that is in a stream; what went wrong there is its error.</summary>
    public void Synchronize(WorkStream* stream) => _driver.Check(_streamSynchronize(stream), "cuStreamSynchronize");

    /// <summary>An event that knows when it came.</summary>
    public Event* CreateTimer()
    {
        Event* created;
        _driver.Check(_eventCreate(&created, 0), "cuEventCreate");
        return created;
    }

    /// <summary>Ends an event.</summary>
    public void Destroy(Event* timer) => _ = _eventDestroy(timer);

    /// <summary>Milliseconds between two timers that have come.</summary>
    public double Elapsed(Event* start, Event* end)
    {
        float milliseconds;
        _driver.Check(_eventElapsed(&milliseconds, start, end), "cuEventElapsedTime");
        return milliseconds;
    }

    /// <summary>Puts a copy within device memory into a stream.</summary>
    public void Copy(void* target, void* source, nuint bytes, WorkStream* stream) => _driver.Check(_copy((ulong)target, (ulong)source, bytes, stream), "cuMemcpyDtoDAsync");
}
