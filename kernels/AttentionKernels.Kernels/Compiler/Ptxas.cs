using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace AttentionKernels.Kernels.Compiler;

/// <summary>NVIDIA's assembler as a gate: what it makes of a kernel on the devices that matter.</summary>
internal sealed partial class Ptxas(string path)
{
    /// <summary>Devices that every kernel is assembled for.</summary>
    public static readonly string[] Devices = ["sm_80", "sm_90"];

    /// <summary>The assembler given, or of the environment variable PTXAS, or on the PATH; null: there is none.</summary>
    /// <exception cref="CompileException">One is given but is not there.</exception>
    public static Ptxas? Find(string? given)
    {
        given ??= Environment.GetEnvironmentVariable("PTXAS");
        if (given != null)
        {
            return File.Exists(given) ? new Ptxas(given) : throw new CompileException($"there is no ptxas at {given}");
        }
        string? found = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .SelectMany(folder => new[] { Path.Combine(folder, "ptxas"), Path.Combine(folder, "ptxas.exe") })
            .FirstOrDefault(File.Exists);
        return found == null ? null : new Ptxas(found);
    }

    /// <summary>Assembles the kernel for each device.</summary>
    /// <exception cref="CompileException">It does not assemble, spills, has a stack, or takes more registers than its configuration allows.</exception>
    public async Task<PtxasReport[]> CheckAsync(CompiledKernel kernel, CancellationToken cancellation)
    {
        // Stays when the kernel fails, to look at.
        string folder = Path.Combine(Path.GetTempPath(), "attention-kernels", kernel.Configuration.Name);
        Directory.CreateDirectory(folder);
        string ptx = Path.Combine(folder, "kernel.ptx"), cubin = Path.Combine(folder, "kernel.cubin");
        await File.WriteAllTextAsync(ptx, kernel.Ptx, cancellation);
        List<PtxasReport> reports = [];
        foreach (string device in Devices)
        {
            (int exit, string output) = await RunAsync(path, ["-v", "-arch=" + device, ptx, "-o", cubin], cancellation);
            if (exit != 0)
            {
                throw new CompileException($"{kernel.Configuration.Name} for {device}: {output} (see {ptx})");
            }
            PtxasReport report = new(
                device, Number(RegistersUsed(), output), Number(StackUsed(), output), Number(SpillStores(), output), await InstructionsAsync(cubin, cancellation));
            if (report.StackBytes != 0 || report.SpillBytes != 0 || report.Registers > kernel.Configuration.MaxRegisters)
            {
                throw new CompileException(
                    $"{kernel.Configuration.Name} for {device}: {report.Registers} registers (at most {kernel.Configuration.MaxRegisters}), "
                    + $"{report.StackBytes} bytes of stack and {report.SpillBytes} of spills (none expected); see {ptx}");
            }
            reports.Add(report);
        }
        Directory.Delete(folder, recursive: true);
        return [.. reports];
    }

    /// <summary>Machine instructions, counted by cuobjdump beside the assembler; null when it is not there.</summary>
    private async Task<int?> InstructionsAsync(string cubin, CancellationToken cancellation)
    {
        string dump = Path.Combine(Path.GetDirectoryName(path) ?? "", "cuobjdump");
        if (!File.Exists(dump))
        {
            return null;
        }
        (_, string sass) = await RunAsync(dump, ["-sass", cubin], cancellation);
        return Instruction().Count(sass);
    }

    private static async Task<(int Exit, string Output)> RunAsync(string program, string[] arguments, CancellationToken cancellation)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        // cuobjdump calls nvdisasm, which lies beside it.
        start.Environment["PATH"] = Path.GetDirectoryName(program) + Path.PathSeparator + Environment.GetEnvironmentVariable("PATH");
        using Process process = Process.Start(start)!;
        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(cancellation), errors = process.StandardError.ReadToEndAsync(cancellation);
            await process.WaitForExitAsync(cancellation);
            return (process.ExitCode, await output + await errors);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }
    }

    private static int Number(Regex pattern, string text) => int.Parse(pattern.Match(text).Groups[1].ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"Used (\d+) registers")]
    private static partial Regex RegistersUsed();

    [GeneratedRegex(@"(\d+) bytes stack frame")]
    private static partial Regex StackUsed();

    [GeneratedRegex(@"(\d+) bytes spill stores")]
    private static partial Regex SpillStores();

    /// <summary>The line of an instruction: /*0010*/ IMAD.MOV.U32 R1, ...</summary>
    [GeneratedRegex(@"(?m)^\s+/\*[0-9a-f]{4,}\*/\s+(?!NOP)")]
    private static partial Regex Instruction();
}
