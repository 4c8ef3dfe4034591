using System.CommandLine;
using AttentionKernels.Cli.Doctor;
using AttentionKernels.Cli.Report;
using AttentionKernels.Cli.Run;
using Spectre.Console;

namespace AttentionKernels.Cli.Commands;

/// <summary>attnk doctor</summary>
internal static class DoctorCommand
{
    public static Command Create(TextWriter output)
    {
        ToolCommand command = new(
            "doctor",
            "Shows what this machine has, and what to do about what it lacks: ONNX Runtime, the operators, processor features, the CUDA driver. "
            + "Fails only if the CPU path cannot work.",
            "attnk doctor");
        command.SetAction(_ =>
        {
            Finding[] findings = [.. Examination.Run()];
            Grid grid = new Grid().AddColumn(new GridColumn().NoWrap()).AddColumn(new GridColumn().NoWrap()).AddColumn();
            foreach (Finding finding in findings)
            {
                string mark = finding.Verdict switch { Verdict.Fine => "[green]ok[/]", Verdict.Absent => "[grey]--[/]", _ => "[red]FAIL[/]" };
                grid.AddRow(mark, Markup.Escape(finding.Subject), Markup.Escape(finding.Text));
                if (finding.Remedy != null)
                {
                    grid.AddRow("", "", Markup.Escape($"What to do: {finding.Remedy}."));
                }
            }
            Consoles.Write(output, console => console.Write(grid));
            string[] broken = [.. findings.Where(finding => finding.Verdict == Verdict.Broken).Select(finding => finding.Subject)];
            return broken.Length == 0 ? ExitCode.Success : throw new RunException($"the CPU path cannot work: {string.Join(", ", broken)}.");
        });
        return command;
    }
}
