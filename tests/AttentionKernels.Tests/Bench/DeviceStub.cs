using AttentionKernels.Bench.Device;
using AttentionKernels.Cuda;
using AttentionKernels.Tests.Cuda;

namespace AttentionKernels.Tests.Bench;

/// <summary>A device for the benchmark: the stub driver's memory and times, kernels on the PTX emulator. One at a time.</summary>
internal sealed unsafe class DeviceStub : StubProcessor, IDisposable
{
    private readonly StubDriver _stub;

    // A benchmark runs the same call over the same memory many times, and the emulator takes up to a second for each: a launch that already came after the same one is left out.
    private readonly HashSet<(string Before, string Launch)> _done = [];
    private string _before = "";

    /// <param name="stub">The driver.</param>
    /// <param name="microseconds">What lies between any two events.</param>
    public DeviceStub(StubDriver stub, int microseconds)
        : base(Reset(stub, microseconds), ownsMemory: true)
    {
        _stub = stub;
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
        _stub.Reset();
    }

    protected override bool Begins(KernelEntry kernel, ReadOnlySpan<uint> grid, ReadOnlySpan<byte> parameters)
    {
        if (kernel.Kernel == Failing)
        {
            throw new InvalidOperationException($"{kernel.Kernel} is to fail");
        }
        string launch = $"{kernel.Name} {grid[0]} {grid[1]} {grid[2]} {Convert.ToHexString(parameters)}";
        bool isNew = _done.Add((_before, launch));
        _before = launch;
        return isNew;
    }

    /// <summary>Of a kernel to be damaged: turns an exponent bit of the first number of what it writes.</summary>
    protected override void Ended(KernelEntry kernel, ReadOnlySpan<byte> parameters)
    {
        if (kernel.Kernel != Damaged)
        {
            return;
        }
        int offset = 0;
        foreach (KernelParameter parameter in kernel.Parameters)
        {
            int size = KernelParameters.TypeOf(parameter) == KernelParameterType.Int64 ? 8 : 4;
            offset = (offset + size - 1) / size * size;
            if (parameter is KernelParameter.Output or KernelParameter.HeadScores)
            {
                ((byte*)BitConverter.ToInt64(parameters[offset..]))[parameter == KernelParameter.Output ? 1 : 3] ^= 0x40;
            }
            offset += size;
        }
    }

    protected override void Freed() => _done.Clear();

    private static nint Reset(StubDriver stub, int microseconds)
    {
        stub.Reset();
        stub.Set("elapsed", microseconds);
        return stub.Library;
    }
}
