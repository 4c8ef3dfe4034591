using System.Globalization;
using AttentionKernels.Bench.Compare;

namespace AttentionKernels.Bench.Report;

/// <summary>A comparison as text: what ran, every case, the table, and last the summary line.</summary>
internal static class CompareText
{
    /// <summary>Writes it.</summary>
    public static void Write(TextWriter output, CompareReport report)
    {
        MachineDescription machine = report.Machine;
        Line(output, $"{machine.Processor}, {machine.Cores} logical processors, {machine.Caches}; load before {machine.Load:0.00}");
        Line(output, $"{machine.System}; {machine.DotNet}; ONNX Runtime {machine.OnnxRuntime}; our kernels: {machine.InstructionSet}; commit {machine.Commit ?? "unknown"}; {machine.Time:u}");
        output.WriteLine(report.Override ? "Ours: the built-in operators, overridden, steered by a scope" : "Ours: ai.attentionkernels::SteeredAttention");
        output.WriteLine();
        output.WriteLine("Kernels (asserted once for each kind of node):");
        foreach (string sentence in report.Kernels)
        {
            Line(output, $"  {sentence}");
        }
        output.WriteLine();
        output.WriteLine("Rivals (ms of the fastest of two runs; the first is compared with; 0: no other was tried):");
        foreach (Rival rival in report.Rivals)
        {
            Line(output, $"  {rival.Case}, {rival.Threads} thr., {rival.Side}: {string.Join(", ", rival.Milliseconds.OrderBy(m => m.Value).Select(m => string.Create(CultureInfo.InvariantCulture, $"{m.Key} {m.Value:0.0}")))}");
        }
        WritePrefills(output, [.. report.Cases.Where(c => c.Sides.ContainsKey(Side.OwnPlain))]);
        WriteDecodes(output, [.. report.Cases.Where(c => c.Sides.ContainsKey(Side.OwnDecode))]);
        WriteTable(output, report);
        output.WriteLine(report.Summary);
    }

    private static void WritePrefills(TextWriter output, CaseResult[] cases)
    {
        if (cases.Length == 0)
        {
            return;
        }
        output.WriteLine();
        output.WriteLine("Prefill: median ratio [25 %-75 %] of interleaved rounds, GFLOP/s of ours plain, ours steered, ORT plain, and the largest relative error of the pairs");
        Line(output, $"  {"case",-26}{"thr",3}{"n",4}  {"plain",-18}{"steered/ORT",-18}{"steered/bias",-18}{"scores/qk",-18}{"steered/plain",-18}{"GFLOP/s",-17}{"error",8}");
        foreach (CaseResult c in cases)
        {
            string ratios = string.Concat(Bar.All.Where(bar => bar.Key != "decode").Select(bar => $"{Spread(c, bar.Key),-18}"));
            Line(output, $"  {c.Case,-26}{c.Threads,3}{c.Rounds,4}  {ratios}{c.Sides[Side.OwnPlain].GigaFlops,5:0}{c.Sides[Side.OwnSteered].GigaFlops,5:0}{c.Sides[Side.BuiltInPlain].GigaFlops,5:0}  {c.Errors.Values.Max(),8:0.0e0}");
        }
    }

    private static void WriteDecodes(TextWriter output, CaseResult[] cases)
    {
        if (cases.Length == 0)
        {
            return;
        }
        output.WriteLine();
        output.WriteLine("Decode: median ratio [25 %-75 %], microseconds of ours and of ORT, GB/s of keys and values of ours and of ORT, error");
        Line(output, $"  {"case",-26}{"thr",3}{"n",4}  {"decode",-18}{"us",-16}{"GB/s",-14}{"error",8}");
        foreach (CaseResult c in cases)
        {
            (SideResult own, SideResult builtIn) = (c.Sides[Side.OwnDecode], c.Sides[Side.BuiltInDecode]);
            Line(output, $"  {c.Case,-26}{c.Threads,3}{c.Rounds,4}  {Spread(c, "decode"),-18}{own.Milliseconds * 1000,7:0}{builtIn.Milliseconds * 1000,8:0} {own.GigaBytes,6:0.0}{builtIn.GigaBytes,7:0.0}  {c.Errors.Values.Max(),8:0.0e0}");
        }
    }

    private static void WriteTable(TextWriter output, CompareReport report)
    {
        output.WriteLine();
        Line(output, $"  {"time ratio, geometric mean over cases",-58}{"ratio",7}{"25 %-75 %",15}{"cases",7}{"best-worst",15}{"must",7}{"aim",7}");
        foreach (BarResult bar in report.Bars)
        {
            string aim = bar.Bar.Aim?.ToString("0.00", CultureInfo.InvariantCulture) ?? "";
            Line(output, $"  {bar.Bar.Title,-58}{bar.Mean,7:0.000}{$"{bar.Low:0.000}-{bar.High:0.000}",15}{bar.Cases,7}{$"{bar.Best:0.00}-{bar.Worst:0.00}",15}{bar.Bar.MustReach,7:0.00}{aim,7}  {Verdict(bar)}");
        }
        foreach (MemoryResult memory in report.Memory)
        {
            string peak = memory.Peak is double mb ? string.Create(CultureInfo.InvariantCulture, $"peak resident size +{mb:0.0} MB") : "peak resident size unknown";
            Line(output, $"  extra memory, steered, {memory.Case}, {memory.Threads} thr.: scratch {memory.Scratch:0.0} MB, {peak}; must be below {MemoryResult.Limit:0} MB  {(memory.Largest < MemoryResult.Limit ? "met" : "NOT MET")}");
        }
        output.WriteLine();
    }

    private static string Verdict(BarResult bar) =>
        bar.Cases == 0 ? "not measured" : !bar.Met ? "NOT MET" : bar.Mean <= bar.Bar.Aim ? "met, aim too" : "met";

    private static string Spread(CaseResult result, string key) =>
        result.Ratios.TryGetValue(key, out Spread ratio)
            ? string.Create(CultureInfo.InvariantCulture, $"{ratio.Median:0.00} [{ratio.Low:0.00}-{ratio.High:0.00}]")
            : "-";

    private static void Line(TextWriter output, FormattableString text) => output.WriteLine(FormattableString.Invariant(text).TrimEnd());
}
