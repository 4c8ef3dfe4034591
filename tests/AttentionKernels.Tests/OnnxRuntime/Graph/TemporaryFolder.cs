namespace AttentionKernels.Tests.OnnxRuntime.Graph;

/// <summary>A folder that exists as long as the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("attention-kernels-");

    /// <summary>Path of a file in the folder.</summary>
    public string File(string name) => Path.Combine(_folder.FullName, name);

    public void Dispose() => _folder.Delete(recursive: true);
}
