using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using AttentionKernels.Cuda;
using AttentionKernels.Tests.PtxEmulator;
using AttentionKernels.Tests.Support;
using static AttentionKernels.Cuda.CudaNative;

namespace AttentionKernels.Tests.Cuda;

/// <summary>
/// Launches single committed kernels on the emulator or on <see cref="TestDevice.Ordinal"/>, parameters by name. Addresses are the host's on both: a device gets copies of the memory before
/// each launch, and what it wrote comes back. Memory is guarded by margins, and by the emulator.
/// </summary>
internal sealed unsafe class TestKernels : IDisposable
{
    // Addresses are far above every stride and length.
    private const long FirstAddress = 1L << 32;

    private static readonly JsonElement Manifest = JsonDocument.Parse(KernelResources.Read("manifest.json")).RootElement;

    private static readonly ConcurrentDictionary<string, PtxModule> Modules = [];

    /// <summary>
    /// Approximate instructions err as far as a device may, products and sums are fused wherever its compiler may, and tensor cores cut sums. (<see cref="EmulatedDevice"/> does none of
    /// this.)
    /// </summary>
    private static readonly PtxOptions Device = new() { ApproximationSeed = 1, Contracts = true, TruncatesSums = true };

    private readonly GlobalMemory _memory = new();
    private readonly List<(string Name, GuardedBuffer Buffer)> _buffers = [];
    private readonly DriverTarget? _target = TestDevice.Ordinal == null ? null : DriverTarget.Current;
    private readonly WorkStream* _stream;
    private readonly DeviceMirror? _mirror;

    public TestKernels()
    {
        if (_target != null)
        {
            using CudaContext.Use use = _target.Context.Enter();
            _stream = _target.Api.CreateStream();
            _mirror = new DeviceMirror(_target, _stream);
        }
    }

    /// <summary>What the last launch executed on the emulator, which alone counts.</summary>
    public PtxCounts Counts { get; private set; } = new();

    /// <summary>Memory with values that kernels read.</summary>
    public long Input<T>(string name, ReadOnlySpan<T> values)
        where T : unmanaged => values.Length == 0 ? 0 : Keep(name, GuardedBuffer.Of(values), initialised: true, writable: false);

    /// <inheritdoc cref="Input{T}(string, ReadOnlySpan{T})"/>
    public long Input<T>(string name, T[] values)
        where T : unmanaged => Input<T>(name, values.AsSpan());

    /// <summary>Memory with values that kernels read and write.</summary>
    public long InOut<T>(string name, T[] values)
        where T : unmanaged => Keep(name, GuardedBuffer.Of<T>(values), initialised: true, writable: true);

    /// <summary>Memory that kernels write; until then it holds NaN, and to read it is an error.</summary>
    public long Output<T>(string name, int count)
        where T : unmanaged => Keep(name, new GuardedBuffer((long)count * sizeof(T)), initialised: false, writable: true);

    /// <summary>Memory of somebody else.</summary>
    public long Share(string name, void* start, long bytes, bool writable)
    {
        if (start == null || bytes == 0)
        {
            return 0;
        }
        Add(name, start, bytes, initialised: true, writable);
        return (long)start;
    }

    /// <summary>What memory from <see cref="Output"/> or <see cref="InOut"/> holds now.</summary>
    public static T[] Read<T>(long address, int count)
        where T : unmanaged => new Span<T>((void*)address, count).ToArray();

    /// <summary>Runs a kernel. What is not given is 0; a name that the kernel does not have is an error.</summary>
    public void Run(string kernel, PtxBlockIndex grid, params (string Name, double Value)[] parameters)
    {
        JsonElement entry = Manifest.GetProperty("kernels").EnumerateArray().Single(e => e.GetProperty("name").GetString() == kernel);
        Dictionary<string, double> values = parameters.ToDictionary(p => p.Name, p => p.Value);
        JsonElement[] declared = [.. entry.GetProperty("parameters").EnumerateArray()];
        byte[] buffer = new byte[declared[^1].GetProperty("offset").GetInt32() + declared[^1].GetProperty("size").GetInt32()];
        foreach (JsonElement parameter in declared)
        {
            string name = parameter.GetProperty("name").GetString()!;
            values.Remove(name, out double value);
            Span<byte> at = buffer.AsSpan(parameter.GetProperty("offset").GetInt32());
            _ = parameter.GetProperty("type").GetString() switch
            {
                "long" => BitConverter.TryWriteBytes(at, checked((long)value)),
                "int" => BitConverter.TryWriteBytes(at, checked((int)value)),
                _ => BitConverter.TryWriteBytes(at, (float)value),
            };
        }
        Assert.True(values.Count == 0, $"{kernel} has no parameter {string.Join(", ", values.Keys)}");
        int threads = entry.GetProperty("threads").GetInt32(), sharedBytes = entry.GetProperty("dynamicSharedBytes").GetInt32();
        if (_target == null)
        {
            PtxModule module = Modules.GetOrAdd(kernel, name => PtxModule.Parse(Encoding.UTF8.GetString(KernelResources.ReadPtx(name + ".ptx").AsSpan()[..^1])));
            Counts = PtxLaunch.Run(module, kernel, grid, threads, sharedBytes, buffer, _memory, Device);
        }
        else
        {
            LaunchOnDevice(kernel, new Grid(grid.X, grid.Y, grid.Z), threads, sharedBytes, declared, buffer);
        }
        foreach ((string name, GuardedBuffer memory) in _buffers)
        {
            memory.CheckMargins(name, kernel);
        }
    }

    public void Dispose()
    {
        if (_target != null)
        {
            using CudaContext.Use use = _target.Context.Enter();
            _mirror!.Dispose();
            _target.Api.DestroyStream(_stream);
        }
        _buffers.ForEach(b => b.Buffer.Dispose());
    }

    private long Keep(string name, GuardedBuffer buffer, bool initialised, bool writable)
    {
        _buffers.Add((name, buffer));
        Add(name, buffer.Data, buffer.Bytes, initialised, writable);
        return (long)buffer.Data;
    }

    private void Add(string name, void* start, long bytes, bool initialised, bool writable)
    {
        if (_target == null)
        {
            _memory.Register(start, (nuint)bytes, initialised, writable, name);
        }
        else
        {
            using CudaContext.Use use = _target.Context.Enter();
            _mirror!.Add(name, start, bytes, writable);
        }
    }

    private void LaunchOnDevice(string name, Grid grid, int threads, int sharedBytes, JsonElement[] declared, byte[] buffer)
    {
        KernelEntry kernel = _target!.Context.Kernels.Entries.Single(entry => entry.Name == name);
        _target.Context.Load([kernel]);
        using CudaContext.Use use = _target.Context.Enter();
        _mirror!.Upload();
        fixed (byte* values = buffer)
        {
            void** addresses = stackalloc void*[declared.Length];
            for (int i = 0; i < declared.Length; i++)
            {
                long* value = (long*)(values + declared[i].GetProperty("offset").GetInt32());
                if (declared[i].GetProperty("type").GetString() == "long" && *value >= FirstAddress)
                {
                    *value = (long)_mirror.Translate((void*)*value);
                }
                addresses[i] = value;
            }
            try
            {
                _target.Context.Driver.Launch(_target.Context.FunctionOf(kernel), grid, threads, sharedBytes, _stream, addresses);
            }
            catch (CudaException) when (_target.Processor?.TakeError() is { } error)
            {
                throw new InvalidOperationException($"{name}: {error.Message}", error);
            }
        }
        _mirror.Download(name);
    }
}
