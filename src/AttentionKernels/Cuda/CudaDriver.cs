using System.Runtime.InteropServices;
using System.Text;
using static AttentionKernels.Cuda.CudaNative;

namespace AttentionKernels.Cuda;

/// <summary>
/// The functions of the CUDA driver API that this library calls, from the driver's own library, which is loaded on first use. Every call that fails is a
/// <see cref="CudaException"/>. Lives as long as the process, as an initialised driver must. Thread-safe.
/// </summary>
internal sealed unsafe class CudaDriver
{
    /// <summary>Environment variable that names another file than the driver's usual one.</summary>
    public const string Variable = "ATTENTION_KERNELS_CUDA_DRIVER";

    private const int LogBytes = 8192;

    private static readonly Lock Gate = new();
    private static readonly Dictionary<string, CudaDriver> Known = [];

    private readonly delegate* unmanaged<int, byte**, int> _getErrorName;
    private readonly delegate* unmanaged<int, byte**, int> _getErrorString;
    private readonly delegate* unmanaged<int*, int> _driverGetVersion;
    private readonly delegate* unmanaged<int*, int> _deviceGetCount;
    private readonly delegate* unmanaged<byte*, int, int, int> _deviceGetName;
    private readonly delegate* unmanaged<nuint*, int, int> _deviceTotalMemory;
    private readonly delegate* unmanaged<int*, int, int> _deviceGet;
    private readonly delegate* unmanaged<int*, int, int, int> _deviceGetAttribute;
    private readonly delegate* unmanaged<Context**, int, int> _primaryContextRetain;
    private readonly delegate* unmanaged<Context*, int> _contextPush;
    private readonly delegate* unmanaged<Context**, int> _contextPop;
    private readonly delegate* unmanaged<Module**, void*, uint, int*, void**, int> _moduleLoad;
    private readonly delegate* unmanaged<Function**, Module*, byte*, int> _moduleGetFunction;
    private readonly delegate* unmanaged<Function*, int, int, int> _functionSetAttribute;
    private readonly delegate* unmanaged<Function*, uint, uint, uint, uint, uint, uint, uint, WorkStream*, void**, void**, int> _launch;
    private readonly delegate* unmanaged<ulong, void*, nuint, WorkStream*, int> _upload;
    private readonly delegate* unmanaged<void*, ulong, nuint, WorkStream*, int> _download;
    private readonly delegate* unmanaged<ulong, byte, nuint, WorkStream*, int> _clear;
    private readonly delegate* unmanaged<WorkStream*, int*, int> _isCapturing;
    private readonly delegate* unmanaged<int*, int> _exchangeCaptureMode;
    private readonly delegate* unmanaged<void**, nuint, uint, int> _hostAllocate;
    private readonly delegate* unmanaged<Event**, uint, int> _eventCreate;
    private readonly delegate* unmanaged<Event*, WorkStream*, int> _eventRecord;
    private readonly delegate* unmanaged<Event*, int> _eventQuery;
    private readonly delegate* unmanaged<Event*, int> _eventSynchronize;

    /// <summary>Loads and initialises a driver.</summary>
    /// <param name="path">Its file; null or empty: the system's driver.</param>
    /// <exception cref="CudaException">There is none, or it does not work.</exception>
    public CudaDriver(string? path = null)
    {
        string usual = OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1";
        string file = string.IsNullOrEmpty(path) ? usual : path;
        File = file;
        if (!NativeLibrary.TryLoad(file, out nint library))
        {
            throw new CudaException(
                $"no CUDA driver ({file}) on this machine: install NVIDIA's driver, or set {Variable} to the path of its library; the CPU engine works without it");
        }
        try
        {
            var initialize = (delegate* unmanaged<uint, int>)Find("cuInit");
            _getErrorName = (delegate* unmanaged<int, byte**, int>)Find("cuGetErrorName");
            _getErrorString = (delegate* unmanaged<int, byte**, int>)Find("cuGetErrorString");
            _driverGetVersion = (delegate* unmanaged<int*, int>)Find("cuDriverGetVersion");
            _deviceGetCount = (delegate* unmanaged<int*, int>)Find("cuDeviceGetCount");
            _deviceGetName = (delegate* unmanaged<byte*, int, int, int>)Find("cuDeviceGetName");
            _deviceTotalMemory = (delegate* unmanaged<nuint*, int, int>)Find("cuDeviceTotalMem_v2");
            _deviceGet = (delegate* unmanaged<int*, int, int>)Find("cuDeviceGet");
            _deviceGetAttribute = (delegate* unmanaged<int*, int, int, int>)Find("cuDeviceGetAttribute");
            _primaryContextRetain = (delegate* unmanaged<Context**, int, int>)Find("cuDevicePrimaryCtxRetain");
            _contextPush = (delegate* unmanaged<Context*, int>)Find("cuCtxPushCurrent_v2");
            _contextPop = (delegate* unmanaged<Context**, int>)Find("cuCtxPopCurrent_v2");
            _moduleLoad = (delegate* unmanaged<Module**, void*, uint, int*, void**, int>)Find("cuModuleLoadDataEx");
            _moduleGetFunction = (delegate* unmanaged<Function**, Module*, byte*, int>)Find("cuModuleGetFunction");
            _functionSetAttribute = (delegate* unmanaged<Function*, int, int, int>)Find("cuFuncSetAttribute");
            _launch = (delegate* unmanaged<Function*, uint, uint, uint, uint, uint, uint, uint, WorkStream*, void**, void**, int>)Find("cuLaunchKernel");
            _upload = (delegate* unmanaged<ulong, void*, nuint, WorkStream*, int>)Find("cuMemcpyHtoDAsync_v2");
            _download = (delegate* unmanaged<void*, ulong, nuint, WorkStream*, int>)Find("cuMemcpyDtoHAsync_v2");
            _clear = (delegate* unmanaged<ulong, byte, nuint, WorkStream*, int>)Find("cuMemsetD8Async");
            _isCapturing = (delegate* unmanaged<WorkStream*, int*, int>)Find("cuStreamIsCapturing");
            _exchangeCaptureMode = (delegate* unmanaged<int*, int>)Find("cuThreadExchangeStreamCaptureMode");
            _hostAllocate = (delegate* unmanaged<void**, nuint, uint, int>)Find("cuMemHostAlloc");
            _eventCreate = (delegate* unmanaged<Event**, uint, int>)Find("cuEventCreate");
            _eventRecord = (delegate* unmanaged<Event*, WorkStream*, int>)Find("cuEventRecord");
            _eventQuery = (delegate* unmanaged<Event*, int>)Find("cuEventQuery");
            _eventSynchronize = (delegate* unmanaged<Event*, int>)Find("cuEventSynchronize");
            Check(initialize(0), "cuInit");
        }
        catch (EntryPointNotFoundException e)
        {
            throw new CudaException($"the CUDA driver ({file}) is too old or none at all: {e.Message}");
        }

        nint Find(string function) => NativeLibrary.GetExport(library, function);
    }

    /// <summary>The driver that <see cref="Variable"/> names, or else the system's; the same object for the same file. A failure is not kept.</summary>
    /// <exception cref="CudaException">There is none, or it does not work.</exception>
    public static CudaDriver Default
    {
        get
        {
            string path = Environment.GetEnvironmentVariable(Variable) ?? "";
            lock (Gate)
            {
                if (!Known.TryGetValue(path, out CudaDriver? driver))
                {
                    driver = new CudaDriver(path);
                    Known.Add(path, driver);
                }
                return driver;
            }
        }
    }

    /// <summary>The driver's library.</summary>
    public string File { get; }

    /// <summary>The newest CUDA that the driver knows, 1000 * major + 10 * minor.</summary>
    public int Version()
    {
        int version;
        Check(_driverGetVersion(&version), "cuDriverGetVersion");
        return version;
    }

    /// <summary>Visible devices.</summary>
    public int DeviceCount()
    {
        int count;
        Check(_deviceGetCount(&count), "cuDeviceGetCount");
        return count;
    }

    /// <summary>Name of a device.</summary>
    public string DeviceName(int device)
    {
        const int NameBytes = 256;
        byte* name = stackalloc byte[NameBytes];
        Check(_deviceGetName(name, NameBytes, device), "cuDeviceGetName");
        ReadOnlySpan<byte> text = new(name, NameBytes);
        int end = text.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? text : text[..end]);
    }

    /// <summary>Bytes of a device's memory.</summary>
    public long DeviceMemory(int device)
    {
        nuint bytes;
        Check(_deviceTotalMemory(&bytes, device), "cuDeviceTotalMem");
        return (long)bytes;
    }

    /// <summary>A device by its number among the visible ones.</summary>
    public int Device(int ordinal)
    {
        int device;
        Check(_deviceGet(&device, ordinal), "cuDeviceGet");
        return device;
    }

    /// <summary>A property of a device.</summary>
    public int Attribute(int device, int attribute)
    {
        int value;
        Check(_deviceGetAttribute(&value, attribute, device), "cuDeviceGetAttribute");
        return value;
    }

    /// <summary>The context that the CUDA runtime, and so ONNX Runtime, uses on a device.</summary>
    public Context* RetainPrimaryContext(int device)
    {
        Context* context;
        Check(_primaryContextRetain(&context, device), "cuDevicePrimaryCtxRetain");
        return context;
    }

    /// <summary>Makes a context this thread's.</summary>
    public void Push(Context* context) => Check(_contextPush(context), "cuCtxPushCurrent");

    /// <summary>Gives this thread back the context that it had.</summary>
    public void Pop()
    {
        Context* popped;
        Check(_contextPop(&popped), "cuCtxPopCurrent");
    }

    /// <summary>Compiles PTX for this thread's context.</summary>
    /// <param name="text">The PTX; it ends with a zero byte.</param>
    /// <param name="name">What it is, for messages.</param>
    public Module* LoadModule(ReadOnlySpan<byte> text, string name)
    {
        byte[] log = new byte[LogBytes];
        Module* module;
        int result;
        fixed (byte* source = text, buffer = log)
        {
            int* options = stackalloc int[] { JitErrorLog, JitErrorLogBytes };
            void** values = stackalloc void*[] { buffer, (void*)LogBytes };
            result = _moduleLoad(&module, source, 2, options, values);
        }
        if (result != Success)
        {
            int end = Array.IndexOf(log, (byte)0);
            string said = Encoding.UTF8.GetString(log, 0, end < 0 ? LogBytes : end).Trim();
            string remedy = result == UnsupportedPtx ? "; the kernels need NVIDIA driver 520 or newer" : "";
            throw Failure(result, $"cuModuleLoadDataEx of {name}", (said.Length == 0 ? "" : $"; the compiler said: {said}") + remedy);
        }
        return module;
    }

    /// <summary>A kernel of a module.</summary>
    public Function* Function(Module* module, string name)
    {
        Function* function;
        byte[] utf8 = [.. Encoding.UTF8.GetBytes(name), 0];
        fixed (byte* text = utf8)
        {
            Check(_moduleGetFunction(&function, module, text), $"cuModuleGetFunction of {name}");
        }
        return function;
    }

    /// <summary>Lets a kernel have this much dynamic shared memory, which must be said above 48 KiB.</summary>
    public void SetDynamicSharedBytes(Function* function, int bytes) => Check(_functionSetAttribute(function, MaxDynamicSharedBytes, bytes), "cuFuncSetAttribute");

    /// <summary>Puts a kernel into a stream.</summary>
    /// <param name="function">Kernel.</param>
    /// <param name="grid">Blocks.</param>
    /// <param name="threads">Threads of a block.</param>
    /// <param name="sharedBytes">Dynamic shared memory of a block.</param>
    /// <param name="stream">Stream.</param>
    /// <param name="arguments">The address of each parameter's value.</param>
    public void Launch(Function* function, Grid grid, int threads, int sharedBytes, WorkStream* stream, void** arguments) =>
        Check(_launch(function, (uint)grid.X, (uint)grid.Y, (uint)grid.Z, (uint)threads, 1, 1, (uint)sharedBytes, stream, arguments, null), "cuLaunchKernel");

    /// <summary>Puts a copy from pinned host memory to the device into a stream.</summary>
    public void Upload(long target, void* source, nuint bytes, WorkStream* stream) => Check(_upload((ulong)target, source, bytes, stream), "cuMemcpyHtoDAsync");

    /// <summary>Puts a copy from the device to pinned host memory into a stream.</summary>
    public void Download(void* target, long source, nuint bytes, WorkStream* stream) => Check(_download(target, (ulong)source, bytes, stream), "cuMemcpyDtoHAsync");

    /// <summary>Puts zeros for device memory into a stream.</summary>
    public void Clear(long target, nuint bytes, WorkStream* stream) => Check(_clear((ulong)target, 0, bytes, stream), "cuMemsetD8Async");

    /// <summary>Whether what is put into a stream is being recorded into a graph.</summary>
    public bool IsCapturing(WorkStream* stream)
    {
        int status;
        Check(_isCapturing(stream, &status), "cuStreamIsCapturing");
        return status != 0;
    }

    /// <summary>Sets what this thread may do while some stream is captured (CUstreamCaptureMode).</summary>
    /// <returns>What was set before.</returns>
    public int ExchangeCaptureMode(int mode)
    {
        Check(_exchangeCaptureMode(&mode), "cuThreadExchangeStreamCaptureMode");
        return mode;
    }

    /// <summary>Pinned host memory of this thread's context. Never freed.</summary>
    public void* AllocatePinned(nuint bytes)
    {
        void* memory;
        Check(_hostAllocate(&memory, bytes, 0), "cuMemHostAlloc");
        return memory;
    }

    /// <summary>An event of this thread's context. Never destroyed.</summary>
    public Event* CreateEvent()
    {
        Event* created;
        Check(_eventCreate(&created, WithoutTiming), "cuEventCreate");
        return created;
    }

    /// <summary>Puts an event into a stream.</summary>
    public void Record(Event* recorded, WorkStream* stream) => Check(_eventRecord(recorded, stream), "cuEventRecord");

    /// <summary>Whether the device has come to where an event was put last.</summary>
    public bool HasCome(Event* recorded)
    {
        int result = _eventQuery(recorded);
        if (result == NotReady)
        {
            return false;
        }
        Check(result, "cuEventQuery");
        return true;
    }

    /// <summary>Waits until the device has come to where an event was put last.</summary>
    public void Wait(Event* recorded) => Check(_eventSynchronize(recorded), "cuEventSynchronize");

    /// <summary>Refuses what a function of the driver returned if it is an error.</summary>
    public void Check(int result, string call)
    {
        if (result != Success)
        {
            throw Failure(result, call, "");
        }
    }

    private CudaException Failure(int result, string call, string more)
    {
        byte* name = null, text = null;
        _ = _getErrorName(result, &name);
        _ = _getErrorString(result, &text);
        string known = Marshal.PtrToStringUTF8((nint)name) ?? "an error that the driver has no name for";
        return new CudaException($"{call} failed with {known} ({result}): {Marshal.PtrToStringUTF8((nint)text) ?? "no description"}{more}", result);
    }
}
