using System.Text.Json;
using System.Text.RegularExpressions;
using AttentionKernels.Kernels.Compiler;

namespace AttentionKernels.Tests.Cuda;

/// <summary>The committed PTX, its manifest and the kernels' sources say the same. Needs no ILGPU.</summary>
public sealed partial class KernelManifestTests
{
    private static readonly string Root = FindRoot();

    private static readonly string Ptx = Path.Combine(Root, "kernels", "ptx");

    private static readonly JsonElement Manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(Ptx, "manifest.json"))).RootElement;

    public static TheoryData<string> Names { get; } = [.. Manifest.GetProperty("kernels").EnumerateArray().Select(entry => entry.GetProperty("name").GetString()!)];

    [Fact]
    public void Every_Ptx_File_Is_In_The_Manifest_And_Every_Entry_Has_A_File()
    {
        string[] listed = [.. Manifest.GetProperty("kernels").EnumerateArray().Select(entry => entry.GetProperty("file").GetString()!).Order(StringComparer.Ordinal)];
        string[] files = [.. Directory.EnumerateFiles(Ptx, "*.ptx").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
        Assert.NotEmpty(files);
        Assert.Equal(listed, files);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Ptx_Is_As_New_As_Its_Sources(string name)
    {
        JsonElement entry = Entry(name);
        string hash = SourceHash.Of(
            Path.Combine(Root, "kernels", "AttentionKernels.Kernels"), entry.GetProperty("kernel").GetString()!, Manifest.GetProperty("ilgpu").GetString()!);
        Assert.True(
            hash == entry.GetProperty("sourceHash").GetString(),
            $"the sources of {name} changed: dotnet run -c Release --project kernels/AttentionKernels.Kernels -p:CompileKernels=true");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Entry_Symbol_Parameters_Threads_And_Target_Are_Those_Of_The_Ptx(string name)
    {
        JsonElement entry = Entry(name);
        string ptx = File.ReadAllText(Path.Combine(Ptx, entry.GetProperty("file").GetString()!));
        Assert.Equal(name, EntrySymbol().Match(ptx).Groups[1].Value);
        Assert.Equal(entry.GetProperty("threads").GetInt32().ToString(), Threads().Match(ptx).Groups[1].Value);
        Assert.Equal(Manifest.GetProperty("target").GetString(), Directive("target").Match(ptx).Groups[1].Value);
        Assert.Equal(Manifest.GetProperty("version").GetString(), Directive("version").Match(ptx).Groups[1].Value);

        List<string> expected = [];
        int offset = 0;
        foreach (Match m in Parameter().Matches(ptx))
        {
            (string type, int size) = m.Groups[1].Value switch { ".b64" => ("long", 8), ".b32" => ("int", 4), ".f32" => ("float", 4), string other => (other, 0) };
            offset = size == 0 ? offset : (offset + size - 1) / size * size;
            expected.Add($"{m.Groups[2].Value} {type} {offset} {size}");
            offset += size;
        }
        string[] listed =
        [
            .. entry.GetProperty("parameters").EnumerateArray().Select(p =>
                $"{p.GetProperty("name").GetString()} {p.GetProperty("type").GetString()} {p.GetProperty("offset").GetInt32()} {p.GetProperty("size").GetInt32()}"),
        ];
        Assert.NotEmpty(listed);
        Assert.Equal(expected, listed);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void No_Kernel_Uses_Local_Memory_Or_Calls(string name)
    {
        string ptx = File.ReadAllText(Path.Combine(Ptx, Entry(name).GetProperty("file").GetString()!));
        Assert.DoesNotContain(".local", ptx);
        Assert.DoesNotContain("call", ptx);
        Assert.DoesNotContain("bra.uni", ptx);
    }

    /// <summary>Every load from global memory is one of memory that the kernel does not write, so that threads exchange nothing there; the emulator checks that it is so.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void Kernels_Exchange_Nothing_Through_Global_Memory(string name)
    {
        string ptx = File.ReadAllText(Path.Combine(Ptx, Entry(name).GetProperty("file").GetString()!));
        Assert.DoesNotMatch(@"\bld\.(global\.(?!nc\b)|volatile|generic|[bfsu]\d)", ptx);
        Assert.DoesNotMatch(@"(?<![.\w])(atom|red|st)\.(?!shared\b|global\.(v[24]\.)?[bf]\d)", ptx);
    }

    private static JsonElement Entry(string name) =>
        Manifest.GetProperty("kernels").EnumerateArray().Single(entry => entry.GetProperty("name").GetString() == name);

    private static Regex Directive(string name) => new($@"(?m)^\.{name} (\S+)$");

    private static string FindRoot()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder != null && !File.Exists(Path.Combine(folder, "AttentionKernels.sln")))
        {
            folder = Path.GetDirectoryName(folder);
        }
        return folder ?? throw new InvalidOperationException($"AttentionKernels.sln is not above {AppContext.BaseDirectory}");
    }

    [GeneratedRegex(@"\.visible \.entry (\w+)\(")]
    private static partial Regex EntrySymbol();

    [GeneratedRegex(@"\.maxntid (\d+), 1, 1")]
    private static partial Regex Threads();

    [GeneratedRegex(@"\.param (\.\w+(?: \d+ \.\w+)?) _(\w+)")]
    private static partial Regex Parameter();
}
