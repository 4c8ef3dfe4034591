using System.Runtime.InteropServices;
using AttentionKernels.Cli.Report;
using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using Google.Protobuf;

namespace AttentionKernels.Cli.Doctor;

/// <summary>Looks at everything that this tool needs or could use.</summary>
internal static class Examination
{
    /// <summary>The findings, in the order in which one depends on another.</summary>
    public static IEnumerable<Finding> Run()
    {
        yield return new Finding(
            "attnk", Verdict.Fine, $"{MachineReport.ToolVersion} on {RuntimeInformation.FrameworkDescription}, {RuntimeInformation.OSDescription}, {RuntimeInformation.RuntimeIdentifier}");
        yield return new Finding("Processors", Verdict.Fine, $"{Environment.ProcessorCount} logical, {GC.GetGCMemoryInfo().TotalAvailableMemoryBytes >> 20} MiB of memory for this process");
        yield return Instructions();
        Finding runtime = Runtime();
        yield return runtime;
        if (runtime.Verdict == Verdict.Fine)
        {
            yield return Providers();
            yield return Operator();
        }
        foreach (Finding finding in GpuExamination.Run())
        {
            yield return finding;
        }
    }

    private static Finding Instructions()
    {
        const string subject = "Instruction set";
        string available = string.Join(", ", Enum.GetValues<InstructionSet>().Where(InstructionSets.IsSupported).Select(Name));
        string? asked = Environment.GetEnvironmentVariable(InstructionSets.Variable);
        try
        {
            string why = string.IsNullOrEmpty(asked) ? $"{InstructionSets.Variable} is not set" : $"because {InstructionSets.Variable}={asked}";
            return new Finding(subject, Verdict.Fine, $"{Name(InstructionSets.Current)} of {available} ({why})");
        }
        catch (PlatformNotSupportedException e)
        {
            return new Finding(subject, Verdict.Broken, e.Message, $"unset {InstructionSets.Variable}, or set it to one of {available}");
        }
    }

    private static Finding Runtime()
    {
        const string subject = "ONNX Runtime";
        try
        {
            OrtApi api = OrtEnvironment.Get().Api;
            string path = OnnxRuntimeLibrary.LoadedPath ?? "?";
            return new Finding(subject, Verdict.Fine, $"{api.Version} at {path} ({Origin(path)})");
        }
        catch (OrtException e)
        {
            // The message ends with the remedy.
            return new Finding(
                subject, Verdict.Broken, e.Message,
                $"set {OnnxRuntimeLibrary.Variable}=/path/to/libonnxruntime.so (the npm package onnxruntime-node has one, and so has the NuGet package Microsoft.ML.OnnxRuntime), "
                + "or, in the repository, build the tool again with npm and a network at hand");
        }
    }

    private static string Origin(string path)
    {
        string? named = OnnxRuntimeLibrary.NamedPath();
        return !string.IsNullOrWhiteSpace(named) && Path.GetFullPath(named) == path ? $"named by {OnnxRuntimeLibrary.Variable}"
            : path.StartsWith(AppContext.BaseDirectory, StringComparison.Ordinal) ? "beside the tool"
            : "already loaded by this process";
    }

    private static Finding Providers() =>
        new("Providers", Verdict.Fine, $"this build of ONNX Runtime knows {string.Join(", ", OrtEnvironment.Get().Api.GetAvailableProviders())}; this tool uses CPUExecutionProvider");

    private static Finding Operator()
    {
        const string subject = "SteeredAttention";
        try
        {
            using OrtSessionOptions options = new() { LogSeverity = OrtLogSeverity.Fatal };
            AttentionKernelsOps.Register(options);
            using OrtSession session = new(OneNodeModel(), options);
            float[] ones = new float[16];
            Array.Fill(ones, 1);
            using OrtTensor input = OrtTensor.Over(ones, 1, 2, 8);
            OrtTensor[] outputs = session.Run(new Dictionary<string, OrtTensor> { ["x"] = input }, "y");
            using OrtTensor output = outputs[0];
            // Whatever the weights are, the mean of ones is one.
            return output.Span<float>().ToArray().All(value => Math.Abs(value - 1) < 1e-6f)
                ? new Finding(subject, Verdict.Fine, "registers, and a model of one node gives the right result")
                : new Finding(subject, Verdict.Broken, $"a model of one node gives wrong numbers with {Name(InstructionSets.Current)}", $"set {InstructionSets.Variable}=portable, and report this machine");
        }
        catch (Exception e) when (e is OrtException or PlatformNotSupportedException)
        {
            return new Finding(subject, Verdict.Broken, e.Message, "remove what is named above, or report this with 'attnk doctor --verbose'");
        }
    }

    private static byte[] OneNodeModel()
    {
        ModelProto model = new() { IrVersion = 8, Graph = new GraphProto { Name = "one_node" } };
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = 17 });
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = AttentionKernelsOps.Domain, Version = 1 });
        GraphWriter writer = new(model.Graph, ElementType.Float32);
        writer.Input("x", writer.WeightType, 1, 2, 8);
        writer.Node(AttentionKernelsOps.Domain, "SteeredAttention", "attention", ["x", "x", "x"], ["y"], GraphWriter.Attribute("num_heads", 1));
        writer.Output("y", writer.WeightType, 1, 2, 8);
        return model.ToByteArray();
    }

    private static string Name(InstructionSet set) => set.ToString().ToLowerInvariant();
}
