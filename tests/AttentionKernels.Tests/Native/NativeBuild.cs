using System.Runtime.InteropServices;
using AttentionKernels.OnnxRuntime.Graph;

namespace AttentionKernels.Tests.Native;

/// <summary>The native library, built once for all tests by the command of the README, and the C programs that use it.</summary>
/// <remarks>A machine without a C compiler, or not Linux x64, fails these tests with a sentence that says so: the library cannot be linked there.</remarks>
public sealed class NativeBuild : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("attention-kernels-native-");
    private readonly Dictionary<string, string> _programs = [];

    public NativeBuild()
    {
        Assert.True(OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64, "the native library is for Linux x64, which this machine is not");
        Compiler = ChildProcess.Find("gcc", "clang")
            ?? throw new InvalidOperationException("the native library needs a C compiler to be linked, and neither gcc nor clang is in PATH: install gcc (with binutils) to run these tests");
        DotnetCommand.Run(["build", Path.Combine(Root, "native", "AttentionKernels.Native"), "-c", "Release", "-t:NativeLibrary", "-v", "q", "-nologo"]).Succeeded();
        Library = Path.Combine(Root, "artifacts", "native", "linux-x64", "libattention_kernels.so");
        OneLayer = WriteModel("one.onnx", 1);
        TwoLayers = WriteModel("two.onnx", 2);
    }

    /// <summary>The repository.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>native/</summary>
    public static string Sources { get; } = Path.Combine(Root, "native");

    /// <summary>ONNX Runtime.</summary>
    public static string OnnxRuntime { get; } = Path.Combine(AppContext.BaseDirectory, "libonnxruntime.so.1");

    /// <summary>libattention_kernels.so.</summary>
    public string Library { get; }

    /// <summary>gcc or clang.</summary>
    public string Compiler { get; }

    /// <summary>A decoder with four heads in one layer, for 96 tokens or any number.</summary>
    public string OneLayer { get; }

    /// <summary>A decoder with four heads in each of two layers.</summary>
    public string TwoLayers { get; }

    /// <summary>Path for a file of the tests.</summary>
    public string File(string name) => Path.Combine(_folder.FullName, name);

    /// <summary>A program of the folder c, compiled once and linked with the library.</summary>
    public string Linked(string name) => Program(name, TestSource(name), Library, $"-Wl,-rpath,{Path.GetDirectoryName(Library)}");

    /// <summary>A program of the folder c that loads the library by itself.</summary>
    public string Unlinked(string name) => Program(name, TestSource(name));

    /// <summary>The C example.</summary>
    public string Example => Program("steered_run", Path.Combine(Sources, "examples", "c", "steered_run.c"));

    /// <summary>Compiles C with every warning an error.</summary>
    public ChildProcess Compile(params string[] arguments) =>
        ChildProcess.Run(Compiler, [
            "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-g",
            "-I", Path.Combine(Sources, "include"), "-I", Path.Combine(Sources, "examples", "c"), "-I", Path.Combine(Sources, "AttentionKernels.Native"), .. arguments]);

    /// <summary>A source of the folder c.</summary>
    public static string TestSource(string name) => Path.Combine(Root, "tests", "AttentionKernels.Tests", "Native", "c", name + ".c");

    public void Dispose() => _folder.Delete(recursive: true);

    private string Program(string name, params string[] sources)
    {
        if (!_programs.TryGetValue(name, out string? path))
        {
            path = File(name);
            Compile(["-std=c11", "-D_DEFAULT_SOURCE", .. sources, Path.Combine(Sources, "examples", "c", "decoder.c"), "-o", path, "-pthread", "-ldl", "-lm"]).Succeeded();
            _programs.Add(name, path);
        }
        return path;
    }

    private string WriteModel(string name, int layers)
    {
        System.IO.File.WriteAllBytes(File(name), DecoderGraphBuilder.Build(new DecoderConfig { Layers = layers, Hidden = 64, Heads = 4, KvHeads = 2, HeadSize = 32, Intermediate = 64, Vocabulary = 31 }));
        return File(name);
    }

    private static string FindRoot()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder != null && !System.IO.File.Exists(Path.Combine(folder.FullName, "AttentionKernels.sln")))
        {
            folder = folder.Parent;
        }
        return folder?.FullName ?? throw new InvalidOperationException($"'{AppContext.BaseDirectory}' is not inside the repository");
    }
}
