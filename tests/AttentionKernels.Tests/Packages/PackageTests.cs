using System.IO.Compression;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Text;
using System.Xml.Linq;
using AttentionKernels.Tests.Native;

namespace AttentionKernels.Tests.Packages;

/// <summary>What the packages hold, and that they work where the repository is not.</summary>
[Collection(NativeCollection.Name)]
public sealed class PackageTests(NativeBuild native, PackageBuild packages) : IClassFixture<PackageBuild>
{
    private const string NativeFile = "runtimes/linux-x64/native/libattention_kernels.so";

    [Fact]
    public void There_Are_Three_And_No_Other() =>
        Assert.Equal(
            [$"AttentionKernels.{PackageBuild.Version}.nupkg", $"AttentionKernels.Cli.{PackageBuild.Version}.nupkg", $"AttentionKernels.OnnxRuntime.{PackageBuild.Version}.nupkg"],
            Directory.EnumerateFiles(packages.Packages).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));

    /// <summary>No ONNX Runtime, no symbols apart, nothing of the tests.</summary>
    [Theory]
    [InlineData("AttentionKernels", "lib/net10.0/AttentionKernels.dll", "lib/net10.0/AttentionKernels.xml")]
    [InlineData("AttentionKernels.OnnxRuntime", "lib/net10.0/AttentionKernels.OnnxRuntime.dll", "lib/net10.0/AttentionKernels.OnnxRuntime.xml", NativeFile)]
    [InlineData(
        "AttentionKernels.Cli",
        "tools/net10.0/any/AttentionKernels.OnnxRuntime.dll", "tools/net10.0/any/AttentionKernels.dll", "tools/net10.0/any/DotnetToolSettings.xml", "tools/net10.0/any/Google.Protobuf.dll",
        "tools/net10.0/any/Microsoft.ML.Tokenizers.dll", "tools/net10.0/any/Spectre.Console.Ansi.dll", "tools/net10.0/any/Spectre.Console.dll", "tools/net10.0/any/System.CommandLine.dll",
        "tools/net10.0/any/attnk.deps.json", "tools/net10.0/any/attnk.dll", "tools/net10.0/any/attnk.runtimeconfig.json")]
    public void Each_Holds_Its_Files_And_No_Other(string id, params string[] files)
    {
        using ZipArchive package = packages.Open(id);
        // The frame that the format asks for.
        string[] found = [.. package.Entries.Select(entry => entry.FullName)
            .Where(name => !name.StartsWith("_rels/", StringComparison.Ordinal) && !name.StartsWith("package/", StringComparison.Ordinal) && name != "[Content_Types].xml")
            .Order(StringComparer.Ordinal)];
        string[] expected = [.. files.Append($"{id}.nuspec").Append("README.md").Order(StringComparer.Ordinal)];
        Assert.Equal(expected, found);
    }

    [Theory]
    [InlineData("AttentionKernels")]
    [InlineData("AttentionKernels.OnnxRuntime", "AttentionKernels", "Google.Protobuf")]
    [InlineData("AttentionKernels.Cli")]
    public void Each_Says_What_It_Is_And_Needs(string id, params string[] dependencies)
    {
        XElement metadata = XDocument.Parse(Encoding.UTF8.GetString(packages.Read(id, $"{id}.nuspec")).TrimStart('\uFEFF')).Root!.Elements().First();
        XNamespace space = metadata.Name.Namespace;
        Assert.Equal(id, metadata.Element(space + "id")!.Value);
        Assert.Equal("MIT", metadata.Element(space + "license")!.Value);
        Assert.Equal("README.md", metadata.Element(space + "readme")!.Value);
        Assert.Equal("git", metadata.Element(space + "repository")!.Attribute("type")!.Value);
        Assert.True(metadata.Element(space + "description")!.Value.Length > 50);
        Assert.Contains("attention", metadata.Element(space + "tags")!.Value.Split(' '));
        Assert.Equal(dependencies, metadata.Descendants(space + "dependency").Select(dependency => dependency.Attribute("id")!.Value).Order(StringComparer.Ordinal));
        Assert.Equal(id == "AttentionKernels.Cli", metadata.Descendants(space + "packageType").Any(type => type.Attribute("name")!.Value == "DotnetTool"));
    }

    /// <summary>Whoever packs the same sources anywhere gets the same symbols.</summary>
    [Theory]
    [InlineData("AttentionKernels", "lib/net10.0/AttentionKernels.dll", "/_/src/AttentionKernels/AttentionProblem.cs")]
    [InlineData("AttentionKernels.OnnxRuntime", "lib/net10.0/AttentionKernels.OnnxRuntime.dll", "/_/src/AttentionKernels.OnnxRuntime/AttentionKernelsOps.cs")]
    [InlineData("AttentionKernels.Cli", "tools/net10.0/any/attnk.dll", "/_/src/AttentionKernels.Cli/Program.cs")]
    public void Symbols_Are_Inside_And_Name_No_Folder_Of_The_Build(string id, string assembly, string source)
    {
        using PEReader image = new(new MemoryStream(packages.Read(id, assembly)));
        using MetadataReaderProvider provider = image.ReadEmbeddedPortablePdbDebugDirectoryData(Assert.Single(image.ReadDebugDirectory(), entry => entry.Type == DebugDirectoryEntryType.EmbeddedPortablePdb));
        MetadataReader symbols = provider.GetMetadataReader();
        string[] documents = [.. symbols.Documents.Select(handle => symbols.GetString(symbols.GetDocument(handle).Name))];
        Assert.Contains(source, documents);
        Assert.DoesNotContain(documents, document => document.Contains(NativeBuild.Root, StringComparison.Ordinal));
    }

    [Fact]
    public void The_Native_Library_Is_The_One_That_Was_Built() =>
        Assert.True(File.ReadAllBytes(native.Library).AsSpan().SequenceEqual(packages.Read("AttentionKernels.OnnxRuntime", NativeFile)));

    /// <summary>The readme's example, compiled against the installed package, and the native library, found by its name in the same program.</summary>
    [Fact]
    public void A_Fresh_Project_Compiles_And_Runs_The_Readme()
    {
        string folder = Directory.CreateDirectory(packages.PathOf("fresh")).FullName;
        File.WriteAllText(Path.Combine(folder, "nuget.config"), $"""
            <configuration>
              <packageSources>
                <add key="attention-kernels" value="{packages.Packages}" />
              </packageSources>
            </configuration>
            """);
        File.WriteAllText(Path.Combine(folder, "fresh.csproj"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings>
                <AllowUnsafeBlocks>true</AllowUnsafeBlocks>
                <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
                <NuGetAudit>false</NuGetAudit>
              </PropertyGroup>
              <ItemGroup>
                <PackageReference Include="AttentionKernels.OnnxRuntime" Version="{PackageBuild.Version}" />
              </ItemGroup>
            </Project>
            """);
        string readme = Encoding.UTF8.GetString(packages.Read("AttentionKernels", "README.md"));
        File.WriteAllText(Path.Combine(folder, "Program.cs"), $$"""
            using System.Runtime.InteropServices;
            using AttentionKernels.OnnxRuntime;
            {{readme.Split("```csharp")[1].Split("```")[0]}}
            Console.WriteLine(AttentionKernelsOps.Domain);
            IntPtr library = NativeLibrary.Load("libattention_kernels.so", typeof(Program).Assembly, null);
            unsafe
            {
                Console.WriteLine(Marshal.PtrToStringUTF8(((delegate* unmanaged[Cdecl]<IntPtr>)NativeLibrary.GetExport(library, "attention_kernels_version"))()));
            }
            """);
        ChildProcess run = DotnetCommand.Run(["run", "--project", folder, "-c", "Release"], ("NUGET_PACKAGES", packages.PathOf("cache"))).Succeeded();
        // Equal logits: each row is the mean of the value rows up to its own.
        Assert.Equal(
            ["0 1 2 3 2 3 4 5 4 5 6 7 12 13 14 15 14 15 16 17 16 17 18 19", "ai.attentionkernels", PackageBuild.Version],
            run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.True(File.Exists(Path.Combine(folder, "bin", "Release", "net10.0", NativeFile)), $"{NativeFile} does not lie beside the program");
    }

    [Fact]
    public void The_Tool_Installs_And_Uses_The_Users_Onnx_Runtime()
    {
        string folder = packages.PathOf("tool");
        DotnetCommand.Run(
            ["tool", "install", "AttentionKernels.Cli", "--tool-path", folder, "--source", packages.Packages, "--version", PackageBuild.Version],
            ("NUGET_PACKAGES", packages.PathOf("cache"))).Succeeded();

        Assert.Contains("conformance", RunTool("--help", null).Succeeded().Output, StringComparison.Ordinal);

        ChildProcess lacking = RunTool("doctor", null);
        Assert.Equal(1, lacking.Code);
        Assert.Contains("ATTNK_ONNXRUNTIME=/path/to/libonnxruntime.so", lacking.Output, StringComparison.Ordinal);

        Assert.Contains("a model of one node gives the right result", RunTool("doctor", NativeBuild.OnnxRuntime).Succeeded().Output.ReplaceLineEndings(" "), StringComparison.Ordinal);

        ChildProcess RunTool(string command, string? onnxRuntime) => ChildProcess.Run(Path.Combine(folder, "attnk"), [command], variables =>
        {
            // Where the .NET of this process lies, should the machine not know by itself.
            variables["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "..", "..", ".."));
            variables.Remove("ATTNK_ONNXRUNTIME");
            if (onnxRuntime != null)
            {
                variables["ATTNK_ONNXRUNTIME"] = onnxRuntime;
            }
        });
    }
}
