using System.CommandLine;
using System.Globalization;
using AttentionKernels.Bench.Compare;
using AttentionKernels.Bench.Report;

namespace AttentionKernels.Bench.Commands;

/// <summary>bench native</summary>
internal static class NativeCommand
{
    public static Command Create(TextWriter output, TextWriter error)
    {
        Option<string> library = new("--library")
        {
            Description = "The native library.",
            HelpName = "FILE",
            DefaultValueFactory = _ => Path.Combine("artifacts", "native", "linux-x64", "libattention_kernels.so"),
        };
        Option<int> rounds = new("--rounds") { Description = "Rounds of each case.", HelpName = "N", DefaultValueFactory = _ => 41 };
        Command command = new(
            "native",
            "Times the operators of the native library and of this process in turns, on the same tensors, one thread. The environment variable ATTNK_ISA chooses the instructions of both. "
            + "The last line is 'summary: native/managed=...'.")
        { library, rounds };
        command.SetAction((parsed, cancellation) => Task.Run(
            () =>
            {
                string path = Path.GetFullPath(parsed.GetValue(library)!);
                if (!File.Exists(path))
                {
                    throw new BenchException($"there is no '{path}': build it with 'dotnet build native/AttentionKernels.Native -c Release -t:NativeLibrary'.");
                }
                MachineDescription machine = MachineDescription.Read();
                Line($"{machine.Processor}, {machine.Cores} logical processors; {machine.DotNet}; ONNX Runtime {machine.OnnxRuntime}; {machine.InstructionSet}; load before {machine.Load:0.00}; commit {machine.Commit ?? "unknown"}");
                List<double> ratios = [];
                foreach (NativeComparison result in NativeComparison.RunAll(path, parsed.GetValue(rounds), step => error.WriteLine($"bench: {step}"), cancellation))
                {
                    ratios.Add(result.Ratio.Median);
                    Line($"{result.Name,-34} managed {result.Managed,8:0.000} ms  native {result.Native,8:0.000} ms  ratio {result.Ratio.Median:0.000} ({result.Ratio.Low:0.000} to {result.Ratio.High:0.000})  {(result.SameBits ? "same bits" : "other bits")}");
                }
                Line($"summary: native/managed={Statistics.GeometricMean(ratios):0.000} worst={ratios.Max():0.000}");
                return 0;
            },
            cancellation));
        return command;

        void Line(FormattableString text) => output.WriteLine(text.ToString(CultureInfo.InvariantCulture));
    }
}
