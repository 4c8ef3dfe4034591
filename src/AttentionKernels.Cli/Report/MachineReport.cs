using System.Reflection;
using System.Runtime.InteropServices;
using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Cli.Report;

/// <summary>What ran.</summary>
/// <param name="Tool">Version of this tool.</param>
/// <param name="OnnxRuntime">Version of ONNX Runtime.</param>
/// <param name="OnnxRuntimePath">Its library.</param>
/// <param name="DotNet">Version of .NET.</param>
/// <param name="System">Operating system.</param>
/// <param name="Architecture">Processor architecture.</param>
/// <param name="Processors">Logical processors.</param>
/// <param name="InstructionSet">What SteeredAttention computes with: avx512, avx2 or portable.</param>
internal sealed record MachineReport(
    string Tool, string OnnxRuntime, string OnnxRuntimePath, string DotNet, string System, string Architecture, int Processors, string InstructionSet)
{
    /// <summary>Version of this tool.</summary>
    public static string ToolVersion { get; } =
        typeof(MachineReport).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];

    /// <summary>This process.</summary>
    public static MachineReport Read() => new(
        ToolVersion,
        OrtEnvironment.Get().Api.Version,
        OnnxRuntimeLibrary.LoadedPath ?? "",
        RuntimeInformation.FrameworkDescription,
        RuntimeInformation.OSDescription,
        RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant(),
        Environment.ProcessorCount,
        InstructionSets.Current.ToString().ToLowerInvariant());
}
