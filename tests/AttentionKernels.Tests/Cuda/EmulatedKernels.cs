using System.Collections.Concurrent;
using System.Text.Json;
using AttentionKernels.Tests.PtxEmulator;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>Launches single committed kernels on the emulator, parameters by name. Memory is guarded twice: by the emulator, and by margins.</summary>
internal sealed unsafe class EmulatedKernels : IDisposable
{
    private static readonly string Folder = Path.Combine(RepositoryRoot(), "kernels", "ptx");

    private static readonly JsonElement Manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder, "manifest.json"))).RootElement;

    private static readonly ConcurrentDictionary<string, PtxModule> Modules = [];

    /// <summary>
    /// Approximate instructions err as far as a device may, products and sums are fused wherever its compiler may, and tensor cores cut sums. (<see cref="EmulatedDevice"/> does none of
    /// this.)
    /// </summary>
    private static readonly PtxOptions Device = new() { ApproximationSeed = 1, Contracts = true, TruncatesSums = true };

    private readonly GlobalMemory _memory = new();
    private readonly List<(string Name, GuardedBuffer Buffer)> _buffers = [];

    /// <summary>What the last launch executed.</summary>
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
        _memory.Register(start, (nuint)bytes, initialised: true, writable, name);
        return (long)start;
    }

    /// <summary>What memory from <see cref="Output"/> or <see cref="InOut"/> holds now.</summary>
    public static T[] Read<T>(long address, int count)
        where T : unmanaged => new Span<T>((void*)address, count).ToArray();

    /// <summary>Runs a kernel. What is not given is 0; a name that the kernel does not have is an error.</summary>
    public void Run(string kernel, PtxBlockIndex grid, params (string Name, double Value)[] parameters)
    {
        JsonElement entry = Manifest.GetProperty("kernels").EnumerateArray().Single(e => e.GetProperty("name").GetString() == kernel);
        PtxModule module = Modules.GetOrAdd(kernel, name => PtxModule.Parse(File.ReadAllText(Path.Combine(Folder, name + ".ptx"))));
        Dictionary<string, double> values = parameters.ToDictionary(p => p.Name, p => p.Value);
        byte[] buffer = new byte[module[kernel].ParameterBytes];
        foreach (JsonElement parameter in entry.GetProperty("parameters").EnumerateArray())
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
        Counts = PtxLaunch.Run(
            module, kernel, grid, entry.GetProperty("threads").GetInt32(), entry.GetProperty("dynamicSharedBytes").GetInt32(), buffer, _memory, Device);
        foreach ((string name, GuardedBuffer memory) in _buffers)
        {
            memory.CheckMargins(name, kernel);
        }
    }

    public void Dispose() => _buffers.ForEach(b => b.Buffer.Dispose());

    private long Keep(string name, GuardedBuffer buffer, bool initialised, bool writable)
    {
        _buffers.Add((name, buffer));
        Span<byte> bytes = buffer.Span<byte>();
        _memory.Register(buffer.Data, (nuint)bytes.Length, initialised, writable, name);
        return (long)buffer.Data;
    }

    private static string RepositoryRoot()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder != null && !File.Exists(Path.Combine(folder, "AttentionKernels.sln")))
        {
            folder = Path.GetDirectoryName(folder);
        }
        return folder ?? throw new InvalidOperationException($"AttentionKernels.sln is not above {AppContext.BaseDirectory}");
    }
}
