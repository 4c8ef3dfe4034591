using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text;
using AttentionKernels.Cuda;
using AttentionKernels.Tests.PtxEmulator;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>
/// A device that computes: what the launcher passes to the stub driver is run by the PTX emulator. Everything between the engine and a real GPU is the real thing: plans, packing of parameters,
/// driver calls, committed PTX. One at a time.
/// </summary>
internal sealed unsafe class EmulatedDevice : IDisposable
{
    private static readonly ConcurrentDictionary<string, PtxModule> Modules = new();
    private static EmulatedDevice? _current;

    private readonly StubDriver _stub;
    private readonly Dictionary<string, KernelEntry> _kernels;
    private Exception? _error;

    /// <param name="stub">The driver.</param>
    /// <param name="options">Of the emulator.</param>
    /// <param name="everywhere">Whether kernels may touch any memory: in sessions, where ONNX Runtime allocates it.</param>
    public EmulatedDevice(StubDriver stub, PtxOptions? options = null, bool everywhere = false)
    {
        _stub = stub;
        Options = options ?? new PtxOptions { Workers = 2 };
        Memory = everywhere ? GlobalMemory.Everything() : new GlobalMemory();
        stub.Reset();
        stub.SetHooks(&Launch, &Written);
        KernelManifest kernels = KernelManifest.Embedded;
        _kernels = kernels.Entries.ToDictionary(kernel => kernel.Name);
        Context = new CudaContext(new CudaDriver(stub.Path), 0, kernels);
        Context.Load(kernels.Entries);
        _current = this;
    }

    public CudaContext Context { get; }

    public PtxOptions Options { get; }

    /// <summary>What kernels may touch.</summary>
    public GlobalMemory Memory { get; }

    /// <summary>Kernels that ran, by stem.</summary>
    public List<string> Launched { get; } = [];

    /// <summary>Runs a case on the device: its buffers are what kernels may touch, and its scratch memory has margins and no values.</summary>
    public void Run(AttentionCase c) => Run(c, c.Problem, c.Bias);

    /// <summary>Runs a call over the buffers of a case.</summary>
    public void Run(AttentionCase c, AttentionProblem problem, SocialBias bias)
    {
        CudaCall call = new()
        {
            Problem = problem,
            // Scores by speaker are for calls without values.
            Bias = problem.Value.IsEmpty ? bias : bias with { SpeakerScores = null, SpeakerCount = 0 },
            HostKeyLengths = problem.KeyLengths,
            HostQueryOffsets = problem.QueryOffsets,
        };
        Run(c, call);
    }

    /// <summary>Runs a call over the buffers of a case and others.</summary>
    public void Run(AttentionCase c, in CudaCall call, params (string Name, GuardedBuffer Buffer, bool IsResult)[] others)
    {
        List<GuardedBuffer> registered = [];
        try
        {
            foreach ((string name, GuardedBuffer buffer, bool isResult) in c.Buffers.Concat(others))
            {
                // Roles are the host's: a kernel that reads one is stopped.
                if (buffer.Bytes > 0 && name is not ("modality" or "speakers" or "frames"))
                {
                    Memory.Register(buffer.Data, (nuint)buffer.Bytes, initialised: !isResult, writable: isResult, name);
                    registered.Add(buffer);
                }
            }
            Run(call, c.Repro);
        }
        finally
        {
            registered.ForEach(buffer => Memory.Unregister(buffer.Data));
        }
    }

    /// <summary>Runs a call whose tensors are registered.</summary>
    public void Run(in CudaCall call, string repro)
    {
        call.Validate();
        CudaQueue queue = new(Context, (void*)0x57);
        try
        {
            nuint bytes = AttentionCuda.ScratchBytes(ref queue, call);
            using GuardedBuffer scratch = new(Math.Max(1, (long)bytes));
            Memory.Register(scratch.Data, (nuint)scratch.Bytes, initialised: false, writable: true, "scratch");
            try
            {
                AttentionCuda.Run(ref queue, call, scratch.Data, bytes);
            }
            catch (CudaException) when (_error != null)
            {
                throw new InvalidOperationException($"{_error.Message}; {repro}", _error);
            }
            finally
            {
                _error = null;
                Memory.Unregister(scratch.Data);
            }
            scratch.CheckMargins("scratch", repro);
        }
        finally
        {
            queue.Dispose();
        }
    }

    public void Dispose()
    {
        _current = null;
        _stub.Reset();
    }

    [UnmanagedCallersOnly]
    private static int Launch(byte* name, uint* grid, uint threads, uint sharedBytes, byte* parameters, int bytes)
    {
        const int LaunchFailed = 719;
        EmulatedDevice device = _current!;
        try
        {
            KernelEntry kernel = device._kernels[Marshal.PtrToStringUTF8((nint)name)!];
            device.Launched.Add(kernel.Kernel);
            PtxModule module = Modules.GetOrAdd(kernel.File, file => PtxModule.Parse(Encoding.UTF8.GetString(KernelResources.ReadPtx(file).AsSpan()[..^1])));
            PtxLaunch.Run(
                module, kernel.Name, new PtxBlockIndex((int)grid[0], (int)grid[1], (int)grid[2]), (int)threads, (int)sharedBytes, new ReadOnlySpan<byte>(parameters, bytes), device.Memory,
                device.Options);
            return 0;
        }
        catch (Exception e)
        {
            device._error = e;
            return LaunchFailed;
        }
    }

    [UnmanagedCallersOnly]
    private static void Written(ulong address, nuint bytes) => _current!.Memory.MarkInitialised((void*)address, bytes);
}
