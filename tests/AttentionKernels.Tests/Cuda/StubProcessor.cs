using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text;
using AttentionKernels.Cuda;
using AttentionKernels.Tests.PtxEmulator;

namespace AttentionKernels.Tests.Cuda;

/// <summary>What computes behind the stub driver: the PTX emulator runs its launches. One at a time in a process.</summary>
internal unsafe class StubProcessor
{
    private static readonly ConcurrentDictionary<string, PtxModule> Modules = new();
    private static readonly Dictionary<string, KernelEntry> Kernels = KernelManifest.Embedded.Entries.ToDictionary(kernel => kernel.Name);
    private static readonly Lock Gate = new();
    private static StubProcessor? _current;

    private Exception? _error;

    /// <param name="library">The stub. It forgets the processor when it is reset.</param>
    /// <param name="options">How kernels run.</param>
    /// <param name="ownsMemory">Whether kernels may touch whatever the stub allocated; if not, only what is registered.</param>
    /// <param name="everywhere">Whether they may touch any memory of the process.</param>
    public StubProcessor(nint library, PtxOptions? options = null, bool ownsMemory = false, bool everywhere = false)
    {
        Options = options ?? new PtxOptions { Workers = 2 };
        Memory = everywhere ? GlobalMemory.Everything() : new GlobalMemory();
        _current = this;
        StubDriver.TellKernels(library);
        delegate* unmanaged<byte*, uint*, uint, uint, byte*, int, int> launch = &Launch;
        delegate* unmanaged<ulong, nuint, void> written = &Written, memory = &Allocated;
        ((delegate* unmanaged<void*, void*, void>)NativeLibrary.GetExport(library, "stub_set_hooks"))(launch, written);
        ((delegate* unmanaged<void*, void>)NativeLibrary.GetExport(library, "stub_set_memory_hook"))(ownsMemory ? memory : null);
    }

    public PtxOptions Options { get; }

    /// <summary>Changes the PTX of kernels before it runs; null: it is the committed one.</summary>
    public Func<string, string>? Change { get; init; }

    /// <summary>What kernels may touch.</summary>
    public GlobalMemory Memory { get; }

    /// <summary>Kernels that ran, by stem.</summary>
    public List<string> Launched { get; } = [];

    /// <summary>What stopped the last launch that failed, once.</summary>
    public Exception? TakeError() => Interlocked.Exchange(ref _error, null);

    /// <summary>Before a launch runs; an exception is its failure.</summary>
    /// <returns>Whether it runs at all.</returns>
    protected virtual bool Begins(KernelEntry kernel, ReadOnlySpan<uint> grid, ReadOnlySpan<byte> parameters) => true;

    /// <summary>After a launch has run.</summary>
    protected virtual void Ended(KernelEntry kernel, ReadOnlySpan<byte> parameters)
    {
    }

    /// <summary>After memory of the device was given back.</summary>
    protected virtual void Freed()
    {
    }

    [UnmanagedCallersOnly]
    private static int Launch(byte* name, uint* grid, uint threads, uint sharedBytes, byte* parameters, int bytes)
    {
        const int LaunchFailed = 719;
        StubProcessor processor = _current!;
        try
        {
            lock (Gate)
            {
                KernelEntry kernel = Kernels[Marshal.PtrToStringUTF8((nint)name)!];
                processor.Launched.Add(kernel.Kernel);
                if (!processor.Begins(kernel, new ReadOnlySpan<uint>(grid, 3), new ReadOnlySpan<byte>(parameters, bytes)))
                {
                    return 0;
                }
                PtxModule module = processor.Change is { } change
                    ? PtxModule.Parse(change(Text(kernel.File)))
                    : Modules.GetOrAdd(kernel.File, file => PtxModule.Parse(Text(file)));
                PtxLaunch.Run(
                    module, kernel.Name, new PtxBlockIndex((int)grid[0], (int)grid[1], (int)grid[2]), (int)threads, (int)sharedBytes, new ReadOnlySpan<byte>(parameters, bytes),
                    processor.Memory, processor.Options);
                processor.Ended(kernel, new ReadOnlySpan<byte>(parameters, bytes));
            }
            return 0;
        }
        catch (Exception e)
        {
            processor._error = e;
            return LaunchFailed;
        }
    }

    private static string Text(string file) => Encoding.UTF8.GetString(KernelResources.ReadPtx(file).AsSpan()[..^1]);

    [UnmanagedCallersOnly]
    private static void Written(ulong address, nuint bytes)
    {
        lock (Gate)
        {
            _current!.Memory.MarkInitialised((void*)address, bytes);
        }
    }

    [UnmanagedCallersOnly]
    private static void Allocated(ulong address, nuint bytes)
    {
        lock (Gate)
        {
            if (bytes == 0)
            {
                _current!.Memory.Unregister((void*)address);
                _current.Freed();
            }
            else
            {
                _current!.Memory.Register((void*)address, bytes, initialised: false, writable: true, $"{bytes} bytes of the device");
            }
        }
    }
}
