using System.Globalization;
using System.Runtime.InteropServices;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>One loaded ONNX Runtime. Lives as long as the process, as the native library does. Thread-safe.</summary>
internal sealed unsafe class OrtApi
{
    /// <summary>The API that is requested, and so the oldest release: 1.18.</summary>
    public const uint RequiredVersion = 18;

    private static readonly Lock Gate = new();
    private static readonly Dictionary<nint, OrtApi> Known = [];
    private static OrtApi? _default;

    private readonly Dictionary<(string Name, int Device), nint> _memories = [];

    private OrtApi(OrtApiTable* table, string version, int minor)
    {
        Table = table;
        Version = version;
        Minor = minor;
        MemoryInfo* memory;
        Check(table->CreateCpuMemoryInfo(0, 0, &memory)); // device allocator, default memory type
        CpuMemory = memory;
        Allocator* allocator;
        Check(table->GetAllocatorWithDefaultOptions(&allocator));
        DefaultAllocator = allocator;
    }

    /// <summary>The native functions.</summary>
    public OrtApiTable* Table { get; }

    /// <summary>The release, as "1.30.0".</summary>
    public string Version { get; }

    /// <summary>The release's second number: 30 for 1.30.0.</summary>
    public int Minor { get; }

    /// <summary>Describes CPU memory. Never released.</summary>
    public MemoryInfo* CpuMemory { get; }

    /// <summary>Allocates what the API hands out (names). Never released.</summary>
    public Allocator* DefaultAllocator { get; }

    /// <summary>The ONNX Runtime of this process, found and loaded on first use.</summary>
    /// <exception cref="OrtException">None was found, or it is not usable; the message has the remedy.</exception>
    public static OrtApi Default
    {
        get
        {
            lock (Gate)
            {
                return _default ??= FromBase(OnnxRuntimeLibrary.Load());
            }
        }
    }

    /// <summary>The API behind a base that ONNX Runtime handed out; the same object for the same base.</summary>
    /// <exception cref="OrtException">The runtime is older than 1.18.</exception>
    public static OrtApi FromBase(OrtApiBase* apiBase)
    {
        lock (Gate)
        {
            if (!Known.TryGetValue((nint)apiBase, out OrtApi? api))
            {
                string version = Marshal.PtrToStringUTF8((nint)apiBase->GetVersionString()) ?? "";
                int minor = CheckVersion(version);
                OrtApiTable* table = apiBase->GetApi(RequiredVersion);
                if (table == null)
                {
                    throw TooOld(version);
                }
                api = new OrtApi(table, version, minor);
                Known.Add((nint)apiBase, api);
            }
            return api;
        }
    }

    /// <summary>Throws if <paramref name="version"/> is older than 1.18. Asked first, because GetApi complains on stderr.</summary>
    /// <returns>The second number of the version.</returns>
    internal static int CheckVersion(string version)
    {
        string[] parts = version.Split('.');
        bool known = int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int major);
        int minor = 0;
        known = known && parts.Length > 1 && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out minor);
        return !known || major < 1 || (major == 1 && minor < RequiredVersion) ? throw TooOld(version) : major > 1 ? int.MaxValue : minor;
    }

    /// <summary>Describes a device's own memory. Never released.</summary>
    /// <param name="name">What ONNX Runtime calls it: "Cuda".</param>
    /// <param name="device">Number of the device.</param>
    public MemoryInfo* Memory(string name, int device)
    {
        const int Arena = 1, Default = 0;
        lock (_memories)
        {
            if (!_memories.TryGetValue((name, device), out nint memory))
            {
                using NativeText text = NativeText.Utf8(name);
                MemoryInfo* created;
                Check(Table->CreateMemoryInfo(text.Pointer, Arena, device, Default, &created));
                memory = (nint)created;
                _memories.Add((name, device), memory);
            }
            return (MemoryInfo*)memory;
        }
    }

    /// <summary>Throws what a status says and releases it; nothing for null.</summary>
    public void Check(Status* status)
    {
        if (status != null)
        {
            throw OrtStatus.ToException(Table, status);
        }
    }

    /// <summary>Releases a status whose text does not matter.</summary>
    /// <returns>Whether it was success.</returns>
    public bool Succeeds(Status* status)
    {
        if (status == null)
        {
            return true;
        }
        Table->ReleaseStatus(status);
        return false;
    }

    /// <summary>Names of the execution providers that this build of ONNX Runtime knows; a GPU one may still lack its libraries.</summary>
    public string[] GetAvailableProviders()
    {
        byte** names;
        int count;
        Check(Table->GetAvailableProviders(&names, &count));
        try
        {
            string[] providers = new string[count];
            for (int i = 0; i < count; i++)
            {
                providers[i] = Marshal.PtrToStringUTF8((nint)names[i]) ?? "";
            }
            return providers;
        }
        finally
        {
            _ = Succeeds(Table->ReleaseAvailableProviders(names, count));
        }
    }

    private static OrtException TooOld(string version) => new(
        OrtErrorCode.NotImplemented,
        $"AttentionKernels needs ONNX Runtime 1.{RequiredVersion} or later, but the one that is loaded is {(version.Length == 0 ? "of unknown version" : version)}: "
        + $"update it, or set {OnnxRuntimeLibrary.Variable} to the path of a newer library.");
}
