using System.Globalization;
using AttentionKernels.Bench.Compare;
using AttentionKernels.Bench.Report;

namespace AttentionKernels.Bench.Device;

/// <summary>A run on a device as text: what ran, a line for each side of each case, the bars, and last the summary line. A number that was not measured is "-".</summary>
internal static class DeviceText
{
    /// <summary>Writes it.</summary>
    public static void Write(TextWriter output, DeviceReport report)
    {
        (DeviceDescription device, MachineDescription machine, TorchDescription torch) = (report.Device, report.Machine, report.Torch);
        Line(output, $"{device.Name}, device {device.Ordinal}, compute capability {device.Capability}, {device.Multiprocessors} multiprocessors, {device.MemoryBytes / 1e9:0.0} GB, L2 {device.L2Bytes / 1e6:0.0} MB; driver's CUDA {device.Driver}");
        Line(output, $"Memory: {device.CopyGigaBytes:0} GB/s in a copy (read and written), {(device.DataSheetGigaBytes is double sheet ? $"{sheet:0} GB/s" : "unknown")} by clock and width");
        Line(output, $"{machine.Processor}, {machine.Cores} logical processors; {machine.System}; {machine.DotNet}; commit {machine.Commit ?? "unknown"}; {machine.Time:u}");
        output.WriteLine(torch.Missing == null ? $"PyTorch {torch.Version} (CUDA {torch.Cuda}, cuDNN {torch.Cudnn ?? "none"}, Python {torch.Python}) on {torch.Device}" : $"PyTorch: none, {torch.Missing}");
        output.WriteLine();
        output.WriteLine("Milliseconds of one call on the device: median [25 %-75 %] of interleaved rounds. Copy and sheet: keys and values read, as % of the memory's bandwidth in a copy and by clock and width.");
        output.WriteLine("Host: microseconds to put a call into the stream. Of first: time as a part of the case's first side. Error: of sampled results, relative to the largest.");
        Line(output, $"  {"side",-14}{"n",3} {"ms",10} {"25 %-75 %",-20}{"TFLOP/s",9}{"GB/s",7}{"copy",6}{"sheet",6}{"host us",9}{"of first",10}{"error",9}  backend");
        foreach (DeviceCaseResult c in report.Cases)
        {
            string details = (c.Roles == null ? "" : $"  ({c.Roles})") + (c.Caches > 1 ? $"  ({c.Caches} caches in turns)" : "");
            Line(output, $"{c.Case}{details}{(c.Skipped == null ? "" : $": {c.Skipped}")}");
            foreach (DeviceSideResult side in c.Sides)
            {
                WriteSide(output, side);
            }
        }
        if (report.Stopped != null)
        {
            Line(output, $"STOPPED: {report.Stopped}");
        }
        WriteBars(output, report.Bars);
        output.WriteLine(report.Summary);
    }

    private static void WriteSide(TextWriter output, DeviceSideResult side)
    {
        if (side.Status != DeviceSideStatus.Measured || side.Milliseconds is not Spread time)
        {
            Line(output, $"  {side.Side,-14}{(side.Status == DeviceSideStatus.Wrong ? "WRONG" : "failed")}: {side.Reason}");
            return;
        }
        string spread = string.Create(CultureInfo.InvariantCulture, $"[{time.Low:0.0000}-{time.High:0.0000}]");
        Line(output, $"  {side.Side,-14}{side.Samples!.Count,3} {time.Median,10:0.0000} {spread,-20}{Number(side.TeraFlops, "0.0"),9}{Number(side.GigaBytes, "0"),7}{Number(100 * side.BandwidthOfCopy, "0"),6}{Number(100 * side.BandwidthOfDataSheet, "0"),6}{Number(side.HostMicroseconds, "0.0"),9}{Number(side.OfFirst?.Median, "0.000"),10}{Number(side.Error, "0.0e0"),9}  {side.Backend}");
        if (side.Kernels != null)
        {
            Line(output, $"  {"",-17} {string.Join(", ", side.Kernels.Select(k => string.Create(CultureInfo.InvariantCulture, $"{k.Operation} {k.Milliseconds:0.0000} ms ({100 * k.Share:0.0} %)")))}");
        }
    }

    private static void WriteBars(TextWriter output, IReadOnlyList<DeviceBarResult> bars)
    {
        output.WriteLine();
        Line(output, $"  {"geometric mean over cases",-58}{"mean",9}{"worst",9}{"best",9}{"must",8}{"aim",8}  {"reached by",-12}");
        foreach (DeviceBarResult bar in bars)
        {
            Line(output, $"  {bar.Title,-58}{Number(bar.Mean, "0.000"),9}{Number(bar.Worst, "0.000"),9}{Number(bar.Best, "0.000"),9}{bar.MustReach,8:0.##}{Number(bar.Aim, "0.##"),8}  {$"{bar.Reached} of {bar.Cases}",-12}{bar.Verdict}");
        }
        output.WriteLine();
    }

    private static string Number(double? value, string format) => value?.ToString(format, CultureInfo.InvariantCulture) ?? "-";

    private static void Line(TextWriter output, FormattableString text) => output.WriteLine(FormattableString.Invariant(text).TrimEnd());
}
