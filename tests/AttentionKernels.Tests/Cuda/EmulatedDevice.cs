using AttentionKernels.Cuda;
using AttentionKernels.Tests.PtxEmulator;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>
/// A device that computes: what the launcher passes to the stub driver is run by the PTX emulator. Everything between the engine and a real GPU is the real thing: plans, packing of parameters,
/// driver calls, committed PTX. Device memory is the host's, byte by byte what a call may touch. One at a time.
/// </summary>
internal sealed unsafe class EmulatedDevice : TestDevice
{
    private readonly StubDriver _stub;
    private readonly StubProcessor _processor;
    private readonly CudaContext _context;

    /// <param name="stub">The driver.</param>
    /// <param name="options">How kernels run.</param>
    /// <param name="change">Changes the PTX of kernels before it runs; null: it is the committed one.</param>
    /// <param name="everywhere">Whether kernels may touch any memory: in sessions, where ONNX Runtime allocates it.</param>
    public EmulatedDevice(StubDriver stub, PtxOptions? options = null, Func<string, string>? change = null, bool everywhere = false)
    {
        if (Ordinal != null)
        {
            throw new InvalidOperationException($"this test is about the emulator, and {Variable} is set: run only classes with the trait {Trait}={Yes} on a device");
        }
        _stub = stub;
        stub.Reset();
        _processor = new StubProcessor(stub.Library, options, everywhere: everywhere) { Change = change };
        stub.Set("shared_bytes", _processor.Options.MostSharedBytes);
        _context = new CudaContext(new CudaDriver(stub.Path), 0, KernelManifest.Embedded);
        _context.Load(_context.Kernels.Entries);
    }

    /// <summary>Kernels that ran, by stem.</summary>
    public List<string> Launched => _processor.Launched;

    public override void Run(AttentionCase c, in CudaCall call, params (string Name, GuardedBuffer Buffer, bool IsResult)[] others)
    {
        List<GuardedBuffer> registered = [];
        try
        {
            foreach ((string name, GuardedBuffer buffer, bool isResult) in DeviceBuffers(c, others))
            {
                _processor.Memory.Register(buffer.Data, (nuint)buffer.Bytes, initialised: !isResult, writable: isResult, name);
                registered.Add(buffer);
            }
            Run(call, c.Repro);
        }
        finally
        {
            registered.ForEach(buffer => _processor.Memory.Unregister(buffer.Data));
        }
    }

    /// <summary>Runs a call whose tensors are registered. Its scratch memory has margins and no values.</summary>
    private void Run(in CudaCall call, string repro)
    {
        call.Validate();
        CudaQueue queue = new(_context, (void*)0x57);
        try
        {
            nuint bytes = AttentionCuda.ScratchBytes(ref queue, call);
            using GuardedBuffer scratch = new(Math.Max(1, (long)bytes));
            _processor.Memory.Register(scratch.Data, (nuint)scratch.Bytes, initialised: false, writable: true, "scratch");
            try
            {
                AttentionCuda.Run(ref queue, call, scratch.Data, bytes);
            }
            catch (CudaException) when (_processor.TakeError() is { } error)
            {
                throw new InvalidOperationException($"{error.Message}; {repro}", error);
            }
            finally
            {
                _ = _processor.TakeError();
                _processor.Memory.Unregister(scratch.Data);
            }
            scratch.CheckMargins("scratch", repro);
        }
        finally
        {
            queue.Dispose();
        }
    }

    public override void Dispose() => _stub.Reset();
}
