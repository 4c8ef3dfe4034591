using System.Text.Json;

namespace AttentionKernels.Cuda;

/// <summary>The compiled kernels that this library was built with, found by what they compute.</summary>
internal sealed class KernelManifest
{
    private readonly Dictionary<(string Kernel, ElementType? Type, int HeadSize, string Variant), KernelEntry> _kernels = [];

    private KernelManifest(KernelManifestJson json)
    {
        Entries = [.. json.Kernels.Select(Bind)];
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

    /// <summary>Every kernel, in the order of <see cref="KernelEntry.Index"/>.</summary>
    public IReadOnlyList<KernelEntry> Entries { get; }

    /// <summary>Reads a manifest and checks it against what the launcher passes.</summary>
    /// <exception cref="InvalidDataException">A kernel lacks a parameter, has one more, or has one of another type; the message names both.</exception>
    public static KernelManifest Parse(ReadOnlySpan<byte> utf8)
    {
        try
        {
            return new KernelManifest(JsonSerializer.Deserialize(utf8, KernelManifestReader.Default.KernelManifestJson) ?? throw new InvalidDataException("manifest.json is null"));
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"manifest.json is not a manifest: {e.Message}", e);
        }
    }

    /// <summary>A kernel, or null if there is none of this kind.</summary>
    public KernelEntry? Find(string kernel, ElementType? type, int headSize, string variant = "") => _kernels.GetValueOrDefault((kernel, type, headSize, variant));

    private static Lazy<KernelManifest> Loaded { get; } = new(() => Parse(KernelResources.Read("manifest.json")));

    private static KernelEntry Bind(KernelManifestJson.Entry json, int index)
    {
        KernelParameter[] expected = KernelSignatures.Of(json.Kernel)
            ?? throw new InvalidDataException($"manifest.json has kernel '{json.Kernel}', which this launcher does not know");
        KernelParameter[] parameters = new KernelParameter[json.Parameters.Length];
        UInt128 set = 0;
        for (int i = 0; i < parameters.Length; i++)
        {
            KernelManifestJson.Parameter given = json.Parameters[i];
            if (!Enum.TryParse(given.Name, ignoreCase: true, out parameters[i]) || !expected.Contains(parameters[i]))
            {
                throw new InvalidDataException($"kernel {json.Name} has parameter '{given.Name}', which this launcher does not give it");
            }
            (string type, int size) = KernelParameters.TypeOf(parameters[i]) switch
            {
                KernelParameterType.Int32 => ("int", 4),
                KernelParameterType.Int64 => ("long", 8),
                _ => ("float", 4),
            };
            if (given.Type != type || given.Size != size)
            {
                throw new InvalidDataException($"kernel {json.Name} has parameter '{given.Name}' of type {given.Type} and {given.Size} bytes, expected {type} and {size}");
            }
            if ((set >> (int)parameters[i] & 1) != 0)
            {
                throw new InvalidDataException($"kernel {json.Name} has parameter '{given.Name}' twice");
            }
            set |= UInt128.One << (int)parameters[i];
        }
        foreach (KernelParameter parameter in expected)
        {
            if ((set >> (int)parameter & 1) == 0)
            {
                throw new InvalidDataException($"kernel {json.Name} has no parameter '{KernelParameters.NameOf(parameter)}', which this launcher gives it");
            }
        }
        if (json.Threads is < 1 or > 1024 || json.DynamicSharedBytes < 0 || json.Rows < 0 || json.Keys < 0)
        {
            throw new InvalidDataException(
                $"kernel {json.Name} has {json.Threads} threads, {json.DynamicSharedBytes} bytes of shared memory and tiles of {json.Rows} x {json.Keys}, expected 1..1024 threads and no negative number");
        }
        return new KernelEntry
        {
            Index = index,
            Name = json.Name,
            File = json.File,
            Kernel = json.Kernel,
            Type = json.ElementType switch
            {
                null => null,
                "f32" => ElementType.Float32,
                "f16" => ElementType.Float16,
                "bf16" => ElementType.BFloat16,
                _ => throw new InvalidDataException($"kernel {json.Name} has element type '{json.ElementType}', expected f32, f16, bf16 or none"),
            },
            HeadSize = json.HeadSize ?? 0,
            Variant = json.Variant ?? "",
            Parameters = parameters,
            ParameterSet = set,
            Threads = json.Threads,
            DynamicSharedBytes = json.DynamicSharedBytes,
            Rows = json.Rows,
            Keys = json.Keys,
        };
    }
}
