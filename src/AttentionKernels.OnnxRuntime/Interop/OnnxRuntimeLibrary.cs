using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>Finds the native ONNX Runtime of this process and loads it.</summary>
/// <remarks>
/// A library that is loaded already wins, because session options handed to us come from it and another copy could not read them.
/// Then the environment variable, then the file beside the application, then the folder where NuGet puts native files.
/// </remarks>
internal static unsafe partial class OnnxRuntimeLibrary
{
    /// <summary>The environment variable that names a library.</summary>
    public const string Variable = "ATTNK_ONNXRUNTIME";

    private static readonly string[] FileNames =
        OperatingSystem.IsWindows() ? ["onnxruntime.dll"]
        : OperatingSystem.IsMacOS() ? ["libonnxruntime.1.dylib", "libonnxruntime.dylib"]
        : ["libonnxruntime.so.1", "libonnxruntime.so"];

    /// <summary>Path of the library that was loaded, or null before that.</summary>
    public static string? LoadedPath { get; private set; }

    /// <summary>Finds and loads the library, for the rest of the process.</summary>
    /// <exception cref="OrtException">Not found, ambiguous, or not an ONNX Runtime.</exception>
    public static OrtApiBase* Load()
    {
        string path = Find(LoadedModules(), NamedPath(), AppContext.BaseDirectory, File.Exists);
        OrtApiBase* apiBase = Load(path);
        LoadedPath = path;
        return apiBase;
    }

    /// <summary>What <see cref="Variable"/> names; the file behind it if that is a link, because the process lists its libraries by their own paths.</summary>
    public static string? NamedPath()
    {
        string? named = Environment.GetEnvironmentVariable(Variable);
        return File.Exists(named) ? File.ResolveLinkTarget(named, returnFinalTarget: true)?.FullName ?? named : named;
    }

    /// <summary>Loads one file. For a file that is loaded already, this only finds it again.</summary>
    internal static OrtApiBase* Load(string path)
    {
        nint library;
        try
        {
            library = NativeLibrary.Load(path);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            throw new OrtException(OrtErrorCode.Fail, $"'{path}' could not be loaded as ONNX Runtime ({FirstLine(e.Message)}): set {Variable} to the path of a working library.", e);
        }
        if (!NativeLibrary.TryGetExport(library, "OrtGetApiBase", out nint export))
        {
            NativeLibrary.Free(library);
            throw new OrtException(OrtErrorCode.Fail, $"'{path}' is not an ONNX Runtime library (it has no function OrtGetApiBase): set {Variable} to the path of one.");
        }
        return ((delegate* unmanaged[Cdecl]<OrtApiBase*>)export)();
    }

    /// <summary>The rules of precedence, without looking at the process.</summary>
    /// <param name="modules">Paths of the libraries that the process has loaded.</param>
    /// <param name="variable">Value of <see cref="Variable"/>.</param>
    /// <param name="directory">The application's folder.</param>
    /// <param name="exists">Whether a file exists.</param>
    internal static string Find(IEnumerable<string> modules, string? variable, string directory, Func<string, bool> exists)
    {
        string? wanted = string.IsNullOrWhiteSpace(variable) ? null : Path.GetFullPath(variable);
        string[] loaded = [.. modules.Where(m => LibraryName().IsMatch(Path.GetFileName(m))).Distinct()];
        if (loaded.Length == 1)
        {
            return loaded[0];
        }
        if (loaded.Length > 1)
        {
            // Guessing wrong would hand one library the objects of another.
            return loaded.Contains(wanted)
                ? wanted!
                : throw new OrtException(
                    OrtErrorCode.Fail,
                    $"this process has loaded several ONNX Runtime libraries ({string.Join(", ", loaded)}): set {Variable} to the one that the sessions use.");
        }
        if (wanted != null)
        {
            return exists(wanted)
                ? wanted
                : throw new OrtException(
                    OrtErrorCode.NoSuchFile,
                    $"{Variable} names '{variable}', which does not exist: set it to the path of an ONNX Runtime library, or unset it.");
        }
        foreach (string folder in (string[])[directory, Path.Combine(directory, "runtimes", PortableRuntimeIdentifier(), "native")])
        {
            foreach (string name in FileNames)
            {
                string path = Path.Combine(folder, name);
                if (exists(path))
                {
                    return path;
                }
            }
        }
        throw new OrtException(
            OrtErrorCode.NoSuchFile,
            $"no ONNX Runtime library is loaded, and none lies in '{directory}': set {Variable} to the path of one (1.{OrtApi.RequiredVersion} or later).");
    }

    // A file that was replaced while loaded (Linux appends "(deleted)") could not be found again under its path.
    private static IEnumerable<string> LoadedModules()
    {
        using Process process = Process.GetCurrentProcess();
        return [.. process.Modules.Cast<ProcessModule>().Select(m => m.FileName).Where(File.Exists)];
    }

    private static string PortableRuntimeIdentifier()
    {
        string system = OperatingSystem.IsWindows() ? "win" : OperatingSystem.IsMacOS() ? "osx" : "linux";
        return $"{system}-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}";
    }

    private static string FirstLine(string text) => text.Split('\n')[0].Trim();

    // libonnxruntime.so, .so.1, .so.1.30.0, .1.30.0.dylib, onnxruntime.dll; not libonnxruntime_providers_shared.so.
    [GeneratedRegex(@"^((lib)?onnxruntime(\.\d+)*\.dylib|libonnxruntime\.so(\.\d+)*|onnxruntime\.dll)$", RegexOptions.IgnoreCase)]
    private static partial Regex LibraryName();
}
