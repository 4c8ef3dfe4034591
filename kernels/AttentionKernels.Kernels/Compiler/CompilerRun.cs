using System.Diagnostics;

namespace AttentionKernels.Kernels.Compiler;

/// <summary>One run of the tool: compiles configurations, asks the assembler, writes or compares kernels/ptx.</summary>
internal sealed class CompilerRun(Ptxas? ptxas, TextWriter log)
{
    private static readonly string Project = FindProject();

    private static readonly string Output = Path.Combine(Path.GetDirectoryName(Project)!, "ptx");

    private static readonly string ManifestPath = Path.Combine(Output, "manifest.json");

    /// <summary>Compiles everything before anything is written.</summary>
    /// <param name="kernel">Stem or name; null: all, and files of kernels that no longer exist are deleted.</param>
    /// <param name="check">Compare only.</param>
    /// <param name="cancellation">Ctrl-C.</param>
    /// <returns>Whether <paramref name="check"/> found no difference.</returns>
    public async Task<bool> RunAsync(string? kernel, bool check, CancellationToken cancellation)
    {
        KernelConfiguration[] rows = [.. KernelTable.All.Where(row => kernel == null || kernel == row.Kernel || kernel == row.Name)];
        if (rows.Length == 0)
        {
            throw new CompileException($"no kernel is called {kernel}; there are {string.Join(", ", KernelTable.All.Select(row => row.Kernel).Distinct())}");
        }
        await log.WriteLineAsync(ptxas == null
            ? "no ptxas: nothing is assembled, registers are not known"
            : $"{"",-40} {string.Join("", Ptxas.Devices.Select(device => $"{device + " registers",18} {"instructions",12}"))}");

        Manifest stored = Manifest.Read(ManifestPath);
        Dictionary<string, string> files = [];
        Dictionary<string, ManifestEntry> entries = kernel == null ? [] : stored.Kernels.ToDictionary(entry => entry.Name);
        for (int i = 0; i < rows.Length; i++)
        {
            Stopwatch watch = Stopwatch.StartNew();
            CompiledKernel compiled = await Task.Run(() => KernelCompiler.Compile(rows[i]), cancellation);
            PtxasReport[] reports = ptxas == null ? [] : await ptxas.CheckAsync(compiled, cancellation);
            string figures = string.Concat(reports.Select(report => $"{report.Registers,18} {report.Instructions,12}"));
            await log.WriteLineAsync($"{$"[{i + 1}/{rows.Length}] {rows[i].Name}",-40} {figures}  {compiled.Ptx.Length / 1024} KB, {watch.Elapsed.TotalSeconds:0.0} s");
            ManifestEntry entry = Entry(compiled, reports, stored);
            (entries[entry.Name], files[entry.File]) = (entry, compiled.Ptx);
        }
        cancellation.ThrowIfCancellationRequested();

        string[] order = [.. KernelTable.All.Select(row => row.Name)];
        files["manifest.json"] = (Manifest.Empty with { Kernels = [.. entries.Values.Where(e => order.Contains(e.Name)).OrderBy(e => Array.IndexOf(order, e.Name))] }).Write();
        string[] old = kernel != null || !Directory.Exists(Output) ? [] : [.. Directory.EnumerateFiles(Output).Where(path => !files.ContainsKey(Path.GetFileName(path)))];
        return check ? await CompareAsync(files, old) : await WriteAsync(files, old);
    }

    /// <summary>Without an assembler, registers are known only if the text is the stored one.</summary>
    private ManifestEntry Entry(CompiledKernel compiled, PtxasReport[] reports, Manifest stored)
    {
        KernelConfiguration row = compiled.Configuration;
        string file = row.Name + ".ptx", path = Path.Combine(Output, file);
        int? registers = reports.Length > 0 ? reports.Max(report => report.Registers)
            : File.Exists(path) && File.ReadAllText(path) == compiled.Ptx ? stored.Kernels.FirstOrDefault(entry => entry.Name == row.Name)?.Registers
            : null;
        return new ManifestEntry(
            row.Name, file, row.Kernel, row.ElementType, row.HeadSize, row.Variant, row.Threads, row.DynamicSharedBytes, row.Rows, row.Keys, registers,
            SourceHash.Of(Project, row.Kernel, KernelCompiler.IlgpuVersion), compiled.Parameters);
    }

    private async Task<bool> WriteAsync(Dictionary<string, string> files, string[] old)
    {
        Directory.CreateDirectory(Output);
        foreach ((string file, string text) in files)
        {
            await File.WriteAllTextAsync(Path.Combine(Output, file), text);
        }
        foreach (string path in old)
        {
            File.Delete(path);
        }
        await log.WriteLineAsync($"wrote {files.Count} files, deleted {old.Length}: {Output}");
        return true;
    }

    private async Task<bool> CompareAsync(Dictionary<string, string> files, string[] old)
    {
        List<string> differences = [.. old.Select(path => $"{Path.GetFileName(path)} belongs to no kernel")];
        foreach ((string file, string text) in files)
        {
            string path = Path.Combine(Output, file);
            if (!File.Exists(path) || await File.ReadAllTextAsync(path) != text)
            {
                differences.Add($"{file} differs from what the sources give");
            }
        }
        foreach (string difference in differences)
        {
            await log.WriteLineAsync(difference);
        }
        await log.WriteLineAsync(differences.Count == 0 ? $"{files.Count} files are up to date" : "run the tool without --check");
        return differences.Count == 0;
    }

    /// <summary>The folder of the sources: above the compiled tool, which lies in the repository's artifacts.</summary>
    private static string FindProject()
    {
        string place = Path.Combine("kernels", "AttentionKernels.Kernels");
        for (string? folder = AppContext.BaseDirectory; folder != null; folder = Path.GetDirectoryName(folder))
        {
            if (Directory.Exists(Path.Combine(folder, place, "Device")))
            {
                return Path.Combine(folder, place);
            }
        }
        throw new CompileException($"there is no {place} above {AppContext.BaseDirectory}");
    }
}
