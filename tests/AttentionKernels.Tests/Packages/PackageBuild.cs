using System.IO.Compression;
using System.Reflection;
using AttentionKernels.Tests.Native;

namespace AttentionKernels.Tests.Packages;

/// <summary>The packages, made once for all tests by the README's command into a temporary folder.</summary>
public sealed class PackageBuild : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("attention-kernels-packages-");

    public PackageBuild(NativeBuild native)
    {
        Assert.True(File.Exists(native.Library), $"'{native.Library}' is missing, and a package holds it");
        Packages = Directory.CreateDirectory(PathOf("packages")).FullName;
        string[] command = ["pack", Path.Combine(NativeBuild.Root, "AttentionKernels.sln"), "-c", "Release", "-o", Packages, "-v", "q", "-nologo"];
#if !DEBUG
        // What is tested is what was built; a build here would write to the files that this process has loaded.
        command = [.. command, "--no-build"];
#endif
        DotnetCommand.Run(command).Succeeded();
    }

    /// <summary>Version of the packages.</summary>
    public static string Version { get; } = typeof(AttentionProblem).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];

    /// <summary>The folder of the packages.</summary>
    public string Packages { get; }

    /// <summary>Path for a file or folder of the tests.</summary>
    public string PathOf(string name) => Path.Combine(_folder.FullName, name);

    /// <summary>Opens the package <paramref name="id"/>.</summary>
    public ZipArchive Open(string id) => ZipFile.OpenRead(Path.Combine(Packages, $"{id}.{Version}.nupkg"));

    /// <summary>Reads one file of the package <paramref name="id"/>.</summary>
    public byte[] Read(string id, string name)
    {
        using ZipArchive package = Open(id);
        using Stream stream = package.GetEntry(name)!.Open();
        using MemoryStream bytes = new();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }

    public void Dispose() => _folder.Delete(recursive: true);
}
