using System.Globalization;
using AttentionKernels.Bench.Nodes;
using AttentionKernels.Bench.Report;
using AttentionKernels.Cpu;

namespace AttentionKernels.Bench.Compare;

/// <summary>Extra memory of a steered prefill: what the engine asks for, and what the process really grew by.</summary>
internal static class MemoryMeasurement
{
    private const double Megabyte = 1 << 20;
    private const string Peak = "VmHWM:";
    private const string Resident = "VmRSS:";

    /// <summary>Measures one case.</summary>
    public static MemoryResult Run(CompareCase c, int threads)
    {
        using PrefillData data = new(c.Shape, c.Length, c.Causal);
        using NodeSession session = new(OwnNodes.Prefill(data, Side.OwnSteered, false), threads);
        // The output was cleared and the inputs were written: their pages are resident already. The session's arena is still empty.
        GC.Collect();
        bool known = ResetPeak();
        double before = known ? Status(Resident) : 0;
        session.Run();
        double peak = known ? Status(Peak) - before : 0;
        EngineProblem engine = new(data);
        // As the operator asks, which does not know the size of the session's pool.
        double scratch = AttentionCpu.ScratchBytes(engine.Problem, engine.Bias, Environment.ProcessorCount) / Megabyte;
        return new MemoryResult(c.ToString(), threads, scratch, known ? peak : null);
    }

    /// <summary>Sets the process's largest resident size back to the present one. Linux only.</summary>
    private static bool ResetPeak()
    {
        try
        {
            File.WriteAllText("/proc/self/clear_refs", "5");
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>A size of this process, in MB.</summary>
    private static double Status(string name)
    {
        // "VmHWM:     12345 kB"
        string line = File.ReadLines("/proc/self/status").First(l => l.StartsWith(name, StringComparison.Ordinal));
        return double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) / 1024;
    }
}
