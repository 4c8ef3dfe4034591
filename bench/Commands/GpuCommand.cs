using System.CommandLine;
using AttentionKernels.Bench.Device;

namespace AttentionKernels.Bench.Commands;

/// <summary>bench gpu</summary>
internal static class GpuCommand
{
    public static Command Create(TextWriter output, TextWriter error)
    {
        Option<bool> quick = new("--quick") { Description = "A few cases, instead of all." };
        Option<string?> filter = new("--filter") { Description = "Only cases whose name contains this, as \"S=8192 full\", or one of several: \"decode,append\".", HelpName = "TEXT" };
        Option<string?> json = new("--json") { Description = "Also write every number and sample to this file.", HelpName = "FILE" };
        Option<int> device = new("--device") { Description = "Number of the device among the visible ones.", HelpName = "N", DefaultValueFactory = _ => 0 };
        Option<string?> python = new("--python") { Description = "A Python that has PyTorch; without it, python3 of the PATH.", HelpName = "PATH" };
        Option<bool> noTorch = new("--no-torch") { Description = "No comparison with PyTorch." };
        Command command = new(
            "gpu",
            "Times the CUDA engine on a device: prompts, steering, scores, decode steps, new rows; and PyTorch's attention in turns with it, in a process of its own. Each result is checked before it is "
            + "timed; the exit code is 1 if one of ours is wrong, or nothing was measured. The last line is 'summary: ...'.")
        {
            quick,
            filter,
            json,
            device,
            python,
            noTorch,
        };
        command.SetAction((parsed, cancellation) => Task.Run(
            () =>
            {
                DeviceRequest request = new(parsed.GetValue(device), parsed.GetValue(quick), parsed.GetValue(filter), !parsed.GetValue(noTorch), parsed.GetValue(python));
                DeviceReport report = DeviceBenchmark.Run(request, step => error.WriteLine($"bench: {step}"), cancellation);
                if (parsed.GetValue(json) is string path)
                {
                    report.WriteJson(path);
                }
                report.WriteText(output);
                return report.Succeeded ? 0 : 1;
            },
            cancellation));
        return command;
    }
}
