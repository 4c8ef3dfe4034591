using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using AttentionKernels.Cuda;
using AttentionKernels.Tests.Native;

namespace AttentionKernels.Tests.Cuda;

/// <summary>The driver of stub_libcuda.c, compiled once: it writes down what it is asked for.</summary>
/// <remarks>A machine without a C compiler fails these tests with a sentence that says so.</remarks>
public sealed unsafe class StubDriver : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("attention-kernels-cuda-");
    private readonly nint _library;

    public StubDriver()
    {
        string compiler = ChildProcess.Find("gcc", "clang")
            ?? throw new InvalidOperationException("the stub of the CUDA driver is C, and neither gcc nor clang is in PATH: install gcc to run these tests");
        Path = System.IO.Path.Combine(_folder.FullName, "libcuda-stub.so");
        string source = System.IO.Path.Combine(NativeBuild.Root, "tests", "AttentionKernels.Tests", "Cuda", "stub_libcuda.c");
        ChildProcess.Run(compiler, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-fPIC", "-shared", source, "-o", Path, "-pthread").Succeeded();
        _library = NativeLibrary.Load(Path);
        foreach (JsonElement kernel in JsonDocument.Parse(KernelResources.Read("manifest.json")).RootElement.GetProperty("kernels").EnumerateArray())
        {
            int[] sizes = [.. kernel.GetProperty("parameters").EnumerateArray().Select(parameter => parameter.GetProperty("size").GetInt32())];
            byte[] name = [.. Encoding.UTF8.GetBytes(kernel.GetProperty("name").GetString()!), 0];
            fixed (byte* text = name)
            fixed (int* counts = sizes)
            {
                ((delegate* unmanaged<byte*, int, int*, void>)Find("stub_kernel"))(text, sizes.Length, counts);
            }
        }
    }

    /// <summary>The library.</summary>
    public string Path { get; }

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

    /// <summary>Says who runs kernels and who is told of bytes that are copied or set, until <see cref="Reset"/>.</summary>
    public void SetHooks(delegate* unmanaged<byte*, uint*, uint, uint, byte*, int, int> launch, delegate* unmanaged<ulong, nuint, void> written) =>
        ((delegate* unmanaged<void*, void*, void>)Find("stub_set_hooks"))(launch, written);

    /// <summary>Sets one of the stub's switches: capturing, capability, events_come, shared_bytes.</summary>
    public void Set(string name, int value) => ((delegate* unmanaged<int, void>)Find("stub_set_" + name))(value);

    public void Dispose()
    {
        NativeLibrary.Free(_library);
        _folder.Delete(recursive: true);
    }

    private nint Find(string function) => NativeLibrary.GetExport(_library, function);
}
