using System.Text.Json;

namespace AttentionKernels.Cuda;

/// <summary>The compiled kernels that this library was built with, found by what they compute.</summary>
internal sealed class KernelManifest
{
    private readonly Dictionary<(string Kernel, ElementType? Type, int HeadSize, string Variant), KernelEntry> _kernels = [];

    private KernelManifest(IEnumerable<KernelEntry> kernels)
    {
        Entries = [.. kernels];
        foreach (KernelEntry entry in Entries)
        {
            if (!_kernels.TryAdd((entry.Kernel, entry.Type, entry.HeadSize, entry.Variant), entry))
            {
                throw new InvalidDataException($"manifest.json has two kernels {entry.Kernel} for {entry.Type}, head size {entry.HeadSize}, variant '{entry.Variant}'");
            }
        }
    }

    /// <summary>The manifest in this assembly.</summary>
    /// <exception cref="InvalidDataException">It does not fit this launcher.</exception>
    public static KernelManifest Embedded => Loaded.Value;

    /// <summary>The kernels, in the order of <see cref="KernelEntry.Index"/>.</summary>
    public IReadOnlyList<KernelEntry> Entries { get; }

    /// <summary>Reads a manifest and checks it against what the launcher passes.</summary>
    /// <exception cref="InvalidDataException">A kernel lacks a parameter, has one more, or has one of another type; the message names both.</exception>
    public static KernelManifest Parse(byte[] utf8)
    {
        try
        {
            // A document, not a deserialiser: that would be the largest part of the native library.
            using JsonDocument document = JsonDocument.Parse(utf8);
            return new KernelManifest(document.RootElement.GetProperty("kernels").EnumerateArray().Select(Bind));
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new InvalidDataException($"manifest.json is not a manifest: {e.Message}", e);
        }
    }

    /// <summary>The kernels that need at most this much dynamic shared memory, in bytes. They keep their <see cref="KernelEntry.Index"/>.</summary>
    public KernelManifest Fitting(int bytes) =>
        Entries.All(kernel => kernel.DynamicSharedBytes <= bytes) ? this : new KernelManifest(Entries.Where(kernel => kernel.DynamicSharedBytes <= bytes));

    /// <summary>A kernel, or null if there is none of this kind.</summary>
    public KernelEntry? Find(string kernel, ElementType? type, int headSize, string variant = "") => _kernels.GetValueOrDefault((kernel, type, headSize, variant));

    private static Lazy<KernelManifest> Loaded { get; } = new(() => Parse(KernelResources.Read("manifest.json")));

    private static KernelEntry Bind(JsonElement json, int index)
    {
        string name = Text(json, "name"), kernel = Text(json, "kernel");
        KernelParameter[] parameters = BindParameters(json, name, kernel);
        int threads = Number(json, "threads"), shared = Number(json, "dynamicSharedBytes"), rows = Number(json, "rows"), keys = Number(json, "keys");
        if (threads is < 1 or > 1024 || shared < 0 || rows < 0 || keys < 0)
        {
            throw new InvalidDataException($"kernel {name} has {threads} threads, {shared} bytes of shared memory and tiles of {rows} x {keys}, expected 1..1024 threads and no negative number");
        }
        string? type = json.GetProperty("elementType").GetString();
        return new KernelEntry
        {
            Index = index,
            Name = name,
            File = Text(json, "file"),
            Kernel = kernel,
            Type = type switch
            {
                null => null,
                "f32" => ElementType.Float32,
                "f16" => ElementType.Float16,
                "bf16" => ElementType.BFloat16,
                _ => throw new InvalidDataException($"kernel {name} has element type '{type}', expected f32, f16, bf16 or none"),
            },
            HeadSize = json.GetProperty("headSize") is { ValueKind: not JsonValueKind.Null } size ? size.GetInt32() : 0,
            Variant = json.GetProperty("variant").GetString() ?? "",
            Parameters = parameters,
            ParameterSet = SetOf(parameters),
            Threads = threads,
            DynamicSharedBytes = shared,
            Rows = rows,
            Keys = keys,
        };
    }

    /// <summary>The parameters of a kernel in their order, which must be those that the launcher gives it.</summary>
    private static KernelParameter[] BindParameters(JsonElement json, string name, string kernel)
    {
        KernelParameter[] expected = KernelSignatures.Of(kernel) ?? throw new InvalidDataException($"manifest.json has kernel '{kernel}', which this launcher does not know");
        List<KernelParameter> parameters = [];
        foreach (JsonElement given in json.GetProperty("parameters").EnumerateArray())
        {
            string called = Text(given, "name");
            if (!Enum.TryParse(called, ignoreCase: true, out KernelParameter parameter) || !expected.Contains(parameter))
            {
                throw new InvalidDataException($"kernel {name} has parameter '{called}', which this launcher does not give it");
            }
            (string type, int size) = KernelParameters.TypeOf(parameter) switch
            {
                KernelParameterType.Int32 => ("int", 4),
                KernelParameterType.Int64 => ("long", 8),
                _ => ("float", 4),
            };
            if (Text(given, "type") != type || Number(given, "size") != size)
            {
                throw new InvalidDataException($"kernel {name} has parameter '{called}' of type {Text(given, "type")} and {Number(given, "size")} bytes, expected {type} and {size}");
            }
            if (parameters.Contains(parameter))
            {
                throw new InvalidDataException($"kernel {name} has parameter '{called}' twice");
            }
            parameters.Add(parameter);
        }
        foreach (KernelParameter parameter in expected)
        {
            if (!parameters.Contains(parameter))
            {
                throw new InvalidDataException($"kernel {name} has no parameter '{KernelParameters.NameOf(parameter)}', which this launcher gives it");
            }
        }
        return [.. parameters];
    }

    private static UInt128 SetOf(KernelParameter[] parameters)
    {
        UInt128 set = 0;
        foreach (KernelParameter parameter in parameters)
        {
            set |= UInt128.One << (int)parameter;
        }
        return set;
    }

    private static string Text(JsonElement json, string name) => json.GetProperty(name).GetString() ?? throw new InvalidDataException($"manifest.json has null as '{name}'");

    private static int Number(JsonElement json, string name) => json.GetProperty(name).GetInt32();
}
