using AttentionKernels.Bench.Compare;
using AttentionKernels.Cpu;
using BenchmarkDotNet.Attributes;

namespace AttentionKernels.Bench.Suites;

/// <summary>The CPU engine without ONNX Runtime, one thread: plain and steered attention by heads, length and instruction set.</summary>
[InProcess]
[BenchmarkCategory("kernels")]
public unsafe class EngineBench
{
    private EngineProblem _problem = null!;

    /// <summary>Heads, as query:key x size.</summary>
    [Params("16:16x64", "16:16x128", "28:4x128", "16:2x128")]
    public string Shape { get; set; } = "";

    /// <summary>S = T.</summary>
    [Params(512, 2048)]
    public int Length { get; set; }

    /// <summary>Instructions.</summary>
    [ParamsAllValues]
    public InstructionSet Set { get; set; }

    /// <summary>Makes the tensors.</summary>
    [GlobalSetup]
    public void Setup() => _problem = new EngineProblem(Shape, Length);

    /// <summary>Frees them.</summary>
    [GlobalCleanup]
    public void Cleanup() => _problem.Dispose();

    /// <summary>Causal attention.</summary>
    [Benchmark(Baseline = true)]
    public void Plain() => AttentionCpu.Run(_problem.Problem, default, threads: 1, Set);

    /// <summary>The same with every head steered, scores out.</summary>
    [Benchmark]
    public void Steered() => AttentionCpu.Run(_problem.Problem, _problem.Bias, threads: 1, Set);
}
