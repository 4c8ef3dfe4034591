using System.Globalization;
using AttentionKernels.Cli.Run;

namespace AttentionKernels.Cli.Conformance;

/// <summary>A test case in the layout of ONNX's backend tests: a folder with model.onnx and folders test_data_set_N.</summary>
/// <param name="Name">Its folder, relative to where the search began.</param>
/// <param name="Folder">Its folder.</param>
internal sealed record ConformanceCase(string Name, string Folder)
{
    private const string ModelFile = "model.onnx", DataSets = "test_data_set_*";

    /// <summary>Path of the model.</summary>
    public string Model => Path.Combine(Folder, ModelFile);

    /// <summary>Every case below a folder, itself included, in the order of names.</summary>
    /// <param name="root">Where to look. Links to other folders are not followed.</param>
    /// <param name="filter">Part of the name of the cases to take; null: all.</param>
    /// <exception cref="RunException">There is no such folder, or it cannot be read.</exception>
    public static ConformanceCase[] Find(string root, string? filter)
    {
        if (!Directory.Exists(root))
        {
            throw new RunException($"there is no folder '{root}'.");
        }
        EnumerationOptions all = new() { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint, IgnoreInaccessible = false };
        try
        {
            // A folder with data and no model is a case that is broken, and must not go unnoticed.
            IEnumerable<string> models = Directory.EnumerateFiles(root, ModelFile, all).Select(path => Path.GetDirectoryName(path)!);
            IEnumerable<string> data = Directory.EnumerateDirectories(root, DataSets, all).Select(path => Path.GetDirectoryName(path)!);
            return
            [
                .. models.Concat(data).Distinct()
                    .Select(folder => new ConformanceCase(Path.GetRelativePath(root, folder) is var name && name == "." ? Path.GetFileName(Path.GetFullPath(root)) : name, folder))
                    .Where(test => filter == null || test.Name.Contains(filter, StringComparison.OrdinalIgnoreCase))
                    .OrderBy(test => test.Name, StringComparer.Ordinal),
            ];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RunException($"cannot read '{root}': {e.Message}", e);
        }
    }

    /// <summary>Folders with inputs and expected outputs.</summary>
    public string[] FindDataSets() => [.. Directory.EnumerateDirectories(Folder, DataSets).Order(StringComparer.Ordinal)];

    /// <summary>Files kind_0.pb, kind_1.pb, ... of a data set.</summary>
    /// <exception cref="RunException">A number is missing or is none.</exception>
    public static string[] FindTensors(string dataSet, string kind)
    {
        string[] files = Directory.GetFiles(dataSet, $"{kind}_*.pb");
        string[] ordered = [.. Enumerable.Range(0, files.Length).Select(i => Path.Combine(dataSet, string.Create(CultureInfo.InvariantCulture, $"{kind}_{i}.pb")))];
        string? stray = files.Except(ordered).Order(StringComparer.Ordinal).FirstOrDefault();
        return stray == null ? ordered : throw new RunException($"'{stray}' is not one of {kind}_0.pb to {kind}_{files.Length - 1}.pb, which are expected.");
    }
}
