using System.Numerics;
using static AttentionKernels.Cuda.CudaNative;

namespace AttentionKernels.Cuda;

/// <summary>
/// The primary context of a device: the one that ONNX Runtime works in. Holds the kernels that were loaded into it and pinned memory for uploads, all of it for the
/// rest of the process. Thread-safe.
/// </summary>
internal sealed unsafe class CudaContext
{
    private const int LeastCapability = 8;

    private const nuint SmallestBuffer = 64 << 10;

    // Above this, a kernel must be told how much shared memory it may have.
    private const int FreeSharedBytes = 48 << 10;

    private static readonly Lock Gate = new();
    private static readonly Dictionary<(CudaDriver Driver, int Ordinal), CudaContext> Known = [];

    // Apart: the driver compiles for seconds, and runs of other sessions must not wait for that.
    private readonly Lock _loading = new();
    private readonly Lock _taking = new();
    private readonly Context* _context;
    private readonly Dictionary<string, nint> _modules = [];
    private readonly nint[] _functions;
    private readonly List<PinnedBuffer> _buffers = [];

    /// <summary>For tests; else <see cref="OfDevice"/>.</summary>
    public CudaContext(CudaDriver driver, int ordinal, KernelManifest kernels)
    {
        Driver = driver;
        _functions = new nint[kernels.Entries.Count];
        int device = driver.Device(ordinal), major = driver.Attribute(device, CapabilityMajor), minor = driver.Attribute(device, CapabilityMinor);
        if (major < LeastCapability)
        {
            throw new CudaException($"CUDA device {ordinal} has compute capability {major}.{minor}, expected {LeastCapability}.0 or higher");
        }
        Multiprocessors = driver.Attribute(device, MultiprocessorCount);
        Kernels = kernels.Fitting(driver.Attribute(device, MostSharedBytes));
        _context = driver.RetainPrimaryContext(device);
    }

    public CudaDriver Driver { get; }

    /// <summary>The kernels whose shared memory the device has for a block: 99 KiB on compute capability 8.6, 8.9 and 12.0, 163 on 8.0, 227 on 9.0 and 10.0.</summary>
    public KernelManifest Kernels { get; }

    /// <summary>Multiprocessors of the device.</summary>
    public int Multiprocessors { get; }

    /// <summary>Told of each operation right after it was put into a stream: a kernel's stem, "upload" or "clear", and the stream. Null: nobody. For measuring; not while others use the context.</summary>
    public Action<string, nint>? Enqueued { get; set; }

    /// <summary>The context of a device of this process's driver, with the kernels of this assembly.</summary>
    /// <param name="ordinal">Number of the device among the visible ones.</param>
    /// <exception cref="CudaException">There is no driver, no such device, or one that is too old.</exception>
    public static CudaContext OfDevice(int ordinal)
    {
        CudaDriver driver = CudaDriver.Default;
        lock (Gate)
        {
            if (!Known.TryGetValue((driver, ordinal), out CudaContext? context))
            {
                context = new CudaContext(driver, ordinal, KernelManifest.Embedded);
                Known.Add((driver, ordinal), context);
            }
            return context;
        }
    }

    /// <summary>Makes the context this thread's until Dispose.</summary>
    public Use Enter() => new(this);

    /// <summary>Loads kernels that are not loaded yet. Not while anything is captured into a graph: call it when a session is made.</summary>
    public void Load(IEnumerable<KernelEntry> kernels)
    {
        using Use use = Enter();
        using Relaxed relaxed = new(Driver);
        lock (_loading)
        {
            foreach (KernelEntry kernel in kernels)
            {
                if (_functions[kernel.Index] != 0)
                {
                    continue;
                }
                if (!_modules.TryGetValue(kernel.File, out nint module))
                {
                    module = (nint)Driver.LoadModule(KernelResources.ReadPtx(kernel.File), kernel.File);
                    _modules.Add(kernel.File, module);
                }
                Function* function = Driver.Function((Module*)module, kernel.Name);
                if (kernel.DynamicSharedBytes > FreeSharedBytes)
                {
                    Driver.SetDynamicSharedBytes(function, kernel.DynamicSharedBytes);
                }
                Volatile.Write(ref _functions[kernel.Index], (nint)function);
            }
        }
    }

    /// <summary>A kernel that was loaded.</summary>
    public Function* FunctionOf(KernelEntry kernel)
    {
        nint function = Volatile.Read(ref _functions[kernel.Index]);
        return function != 0 ? (Function*)function : throw new InvalidOperationException($"{kernel} is launched but was not loaded");
    }

    /// <summary>Pinned memory that no call and no copy uses, taken until <see cref="Return"/>. The context is this thread's.</summary>
    public PinnedBuffer TakeBuffer(nuint bytes)
    {
        using Relaxed relaxed = new(Driver);
        lock (_taking)
        {
            foreach (PinnedBuffer buffer in _buffers)
            {
                if (!buffer.IsTaken && buffer.Bytes >= bytes && Driver.HasCome(buffer.Done))
                {
                    buffer.IsTaken = true;
                    return buffer;
                }
            }
            nuint room = Math.Max(SmallestBuffer, BitOperations.RoundUpToPowerOf2(bytes));
            PinnedBuffer added = new() { Memory = Driver.AllocatePinned(room), Bytes = room, Done = Driver.CreateEvent(), IsTaken = true };
            _buffers.Add(added);
            return added;
        }
    }

    /// <summary>Gives a buffer back. It is taken again only after its event has come.</summary>
    public void Return(PinnedBuffer buffer)
    {
        lock (_taking)
        {
            buffer.IsTaken = false;
        }
    }

    /// <summary>Waits until the device has come to where an event was put last.</summary>
    public void Wait(Event* recorded)
    {
        using Use use = Enter();
        using Relaxed relaxed = new(Driver);
        Driver.Wait(recorded);
    }

    /// <summary>
    /// Lets this thread ask events, allocate and load until Dispose while another thread captures a graph. In the usual mode any of it fails, and breaks the other's capture, which
    /// has nothing to do with it.
    /// </summary>
    private readonly ref struct Relaxed
    {
        private readonly CudaDriver _driver;
        private readonly int _before;

        public Relaxed(CudaDriver driver)
        {
            _before = driver.ExchangeCaptureMode(RelaxedCapture);
            _driver = driver;
        }

        public void Dispose() => _ = _driver.ExchangeCaptureMode(_before);
    }

    /// <summary>Keeps a context this thread's.</summary>
    internal readonly ref struct Use
    {
        private readonly CudaContext _owner;

        public Use(CudaContext owner)
        {
            owner.Driver.Push(owner._context);
            _owner = owner;
        }

        public void Dispose() => _owner.Driver.Pop();
    }
}
