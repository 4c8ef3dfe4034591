using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using AttentionKernels.Cuda;
using AttentionKernels.Tests.Native;

namespace AttentionKernels.Tests.Cuda;

/// <summary>The driver of stub_libcuda.c, compiled when it is first used: it writes down what it is asked for.</summary>
/// <remarks>A machine without a C compiler fails these tests with a sentence that says so.</remarks>
public sealed unsafe class StubDriver : IDisposable
{
    private const string FileName = "libcuda-stub.so";

    private readonly Lock _gate = new();
    private DirectoryInfo? _folder;
    private nint _library;

    /// <summary>The library's file.</summary>
    public string Path
    {
        get
        {
            lock (_gate)
            {
                if (_folder == null)
                {
                    Compile();
                }
                return System.IO.Path.Combine(_folder!.FullName, FileName);
            }
        }
    }

    /// <summary>The library.</summary>
    public nint Library => Path.Length > 0 ? _library : 0;

    /// <summary>Contexts that this thread has pushed and not popped.</summary>
    public int Depth => ((delegate* unmanaged<int>)Find("stub_depth"))();

    /// <summary>This thread's mode of capturing: 0 unless somebody changed it and did not change it back.</summary>
    public int CaptureMode => ((delegate* unmanaged<int>)Find("stub_capture_mode"))();

    /// <summary>The calls since <see cref="Reset"/>.</summary>
    public string[] Calls => Marshal.PtrToStringUTF8((nint)((delegate* unmanaged<byte*>)Find("stub_log"))())!.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>The names of these calls.</summary>
    public string[] CallNames => [.. Calls.Select(call => call.Split(' ')[0])];

    /// <summary>Forgets calls and errors.</summary>
    public void Reset() => ((delegate* unmanaged<void>)Find("stub_reset"))();

    /// <summary>Makes the n-th call of a function from now on return an error.</summary>
    /// <param name="call">Name of the function; empty: any.</param>
    /// <param name="at">1: the next call.</param>
    /// <param name="error">What it returns.</param>
    public void Fail(string call, int at, int error)
    {
        fixed (byte* text = (byte[])[.. Encoding.UTF8.GetBytes(call), 0])
        {
            ((delegate* unmanaged<byte*, int, int, void>)Find("stub_fail"))(text, at, error);
        }
    }

    /// <summary>Sets one of the stub's switches: capturing, capability, events_come, shared_bytes.</summary>
    public void Set(string name, int value) => ((delegate* unmanaged<int, void>)Find("stub_set_" + name))(value);

    /// <summary>Tells a stub the parameters of this library's kernels, so that it can write launches down.</summary>
    public static void TellKernels(nint library)
    {
        var tell = (delegate* unmanaged<byte*, int, int*, void>)NativeLibrary.GetExport(library, "stub_kernel");
        foreach (JsonElement kernel in JsonDocument.Parse(KernelResources.Read("manifest.json")).RootElement.GetProperty("kernels").EnumerateArray())
        {
            int[] sizes = [.. kernel.GetProperty("parameters").EnumerateArray().Select(parameter => parameter.GetProperty("size").GetInt32())];
            fixed (byte* text = (byte[])[.. Encoding.UTF8.GetBytes(kernel.GetProperty("name").GetString()!), 0])
            fixed (int* counts = sizes)
            {
                tell(text, sizes.Length, counts);
            }
        }
    }

    public void Dispose()
    {
        if (_folder != null)
        {
            NativeLibrary.Free(_library);
            _folder.Delete(recursive: true);
        }
    }

    private void Compile()
    {
        string compiler = ChildProcess.Find("gcc", "clang")
            ?? throw new InvalidOperationException("the stub of the CUDA driver is C, and neither gcc nor clang is in PATH: install gcc to run these tests");
        DirectoryInfo folder = Directory.CreateTempSubdirectory("attention-kernels-cuda-");
        string file = System.IO.Path.Combine(folder.FullName, FileName), source = System.IO.Path.Combine(NativeBuild.Root, "tests", "AttentionKernels.Tests", "Cuda", "stub_libcuda.c");
        ChildProcess.Run(compiler, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-fPIC", "-shared", source, "-o", file, "-pthread").Succeeded();
        _library = NativeLibrary.Load(file);
        TellKernels(_library);
        _folder = folder;
    }

    private nint Find(string function) => NativeLibrary.GetExport(Library, function);
}
