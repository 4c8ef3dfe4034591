using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Tests.OnnxRuntime.Interop;

/// <summary>Which ONNX Runtime is used, and what is said when none can be.</summary>
public sealed unsafe class OnnxRuntimeLibraryTests
{
    private static readonly string Root = OperatingSystem.IsWindows() ? @"C:\" : "/";
    private static readonly string App = Path.Combine(Root, "app");
    private static readonly string Wanted = Path.Combine(Root, "wanted", "libonnxruntime.so");
    private static readonly string FileName =
        OperatingSystem.IsWindows() ? "onnxruntime.dll" : OperatingSystem.IsMacOS() ? "libonnxruntime.1.dylib" : "libonnxruntime.so.1";

    [Theory]
    [InlineData("libonnxruntime.so")]
    [InlineData("libonnxruntime.so.1")]
    [InlineData("libonnxruntime.so.1.30.0")]
    [InlineData("libonnxruntime.1.30.0.dylib")]
    [InlineData("libonnxruntime.dylib")]
    [InlineData("onnxruntime.dll")]
    public void A_Loaded_Library_Wins(string name)
    {
        string loaded = Path.Combine(Root, "host", name);
        string[] modules = [Path.Combine(Root, "lib", "libc.so.6"), Path.Combine(Root, "host", "libonnxruntime_providers_shared.so"), loaded, loaded];
        Assert.Equal(loaded, OnnxRuntimeLibrary.Find(modules, Wanted, App, _ => true));
    }

    [Fact]
    public void Several_Loaded_Libraries_Need_The_Variable()
    {
        string[] modules = [Path.Combine(Root, "other", "libonnxruntime.so.1"), Wanted];
        OrtException e = Assert.Throws<OrtException>(() => OnnxRuntimeLibrary.Find(modules, null, App, _ => true));
        Assert.Contains(modules[0], e.Message, StringComparison.Ordinal);
        Assert.Contains("set ATTNK_ONNXRUNTIME", e.Message, StringComparison.Ordinal);
        Assert.Equal(Wanted, OnnxRuntimeLibrary.Find(modules, Wanted, App, _ => true));
    }

    [Fact]
    public void The_Variable_Wins_Over_The_File_Beside_The_Application()
    {
        Assert.Equal(Wanted, OnnxRuntimeLibrary.Find([], Wanted, App, _ => true));
        OrtException e = Assert.Throws<OrtException>(() => OnnxRuntimeLibrary.Find([], Wanted, App, path => path != Wanted));
        Assert.Contains($"'{Wanted}', which does not exist", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_File_Beside_The_Application_Wins_Over_The_NuGet_Folder()
    {
        string beside = Path.Combine(App, FileName);
        Assert.Equal(beside, OnnxRuntimeLibrary.Find([], "", App, _ => true));
        string found = OnnxRuntimeLibrary.Find([], null, App, path => path.Contains("runtimes", StringComparison.Ordinal));
        Assert.StartsWith(Path.Combine(App, "runtimes"), found, StringComparison.Ordinal);
        Assert.EndsWith(Path.Combine("native", FileName), found, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_Library_Names_The_Remedy()
    {
        OrtException e = Assert.Throws<OrtException>(() => OnnxRuntimeLibrary.Find([], null, App, _ => false));
        Assert.Equal(OrtErrorCode.NoSuchFile, e.Code);
        Assert.Contains("set ATTNK_ONNXRUNTIME to the path of one (1.18 or later)", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_File_That_Is_No_Library_Is_Refused()
    {
        string text = Path.GetTempFileName();
        try
        {
            File.WriteAllText(text, "hello");
            OrtException e = Assert.Throws<OrtException>(() => OnnxRuntimeLibrary.Load(text));
            Assert.Contains(text, e.Message, StringComparison.Ordinal);
            Assert.Contains("set ATTNK_ONNXRUNTIME", e.Message, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', e.Message);
        }
        finally
        {
            File.Delete(text);
        }
    }

    [Fact]
    public void A_Library_That_Is_Not_OnnxRuntime_Is_Refused()
    {
        string pattern = OperatingSystem.IsWindows() ? "clrjit.dll" : "libclrjit.*";
        string other = Directory.GetFiles(RuntimeEnvironment.GetRuntimeDirectory(), pattern)[0];
        OrtException e = Assert.Throws<OrtException>(() => OnnxRuntimeLibrary.Load(other));
        Assert.Contains("is not an ONNX Runtime library", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_Library_Of_This_Process_Is_Found_Again_Whatever_The_Variable_Says()
    {
        OrtApi api = OrtApi.Default;
        string? before = Environment.GetEnvironmentVariable(OnnxRuntimeLibrary.Variable);
        try
        {
            Environment.SetEnvironmentVariable(OnnxRuntimeLibrary.Variable, Wanted);
            Assert.Same(api, OrtApi.FromBase(OnnxRuntimeLibrary.Load()));
        }
        finally
        {
            Environment.SetEnvironmentVariable(OnnxRuntimeLibrary.Variable, before);
        }
        Assert.True(File.Exists(OnnxRuntimeLibrary.LoadedPath));
        Assert.True(api.Minor >= 18);
        Assert.StartsWith("1.", api.Version, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("1.17.3")]
    [InlineData("1.9.0")]
    [InlineData("0.5.0")]
    [InlineData("")]
    [InlineData("version one")]
    public void An_Old_Runtime_Is_Refused_Naming_Both_Versions(string version)
    {
        OrtException e = Assert.Throws<OrtException>(() => OrtApi.CheckVersion(version));
        Assert.Contains("ONNX Runtime 1.18 or later", e.Message, StringComparison.Ordinal);
        Assert.Contains(version, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("1.18.0", 18)]
    [InlineData("1.30.0", 30)]
    [InlineData("1.31.0-dev-20260101", 31)]
    public void A_New_Runtime_Is_Accepted(string version, int minor) => Assert.Equal(minor, OrtApi.CheckVersion(version));

    [Fact]
    public void An_Old_Base_Is_Refused_Before_Its_Api_Is_Asked_For()
    {
        // GetApi of an older runtime complains on stderr; here it would be a null call.
        void** old = stackalloc void*[2];
        old[0] = null;
        old[1] = (delegate* unmanaged[Cdecl]<byte*>)&OldVersion;
        OrtApiBase* apiBase = (OrtApiBase*)old;
        OrtException? e = null;
        try
        {
            OrtApi.FromBase(apiBase);
        }
        catch (OrtException caught)
        {
            e = caught;
        }
        Assert.Contains("1.16.3", e?.Message, StringComparison.Ordinal);
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte* OldVersion() => (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference("1.16.3"u8));
}
