using AttentionKernels.Bench.Compare;
using AttentionKernels.Bench.Nodes;
using BenchmarkDotNet.Attributes;

namespace AttentionKernels.Bench.Suites;

/// <summary>Runs of one-node sessions, causal, one thread. For ratios take the command compare, which interleaves.</summary>
[InProcess]
[BenchmarkCategory("ops")]
public class OperatorBench
{
    private PrefillData _data = null!;
    private NodeSession _builtIn = null!;
    private NodeSession _plain = null!;
    private NodeSession _steered = null!;

    /// <summary>Heads, as query:key x size.</summary>
    [Params("16:16x64", "16:16x128", "28:4x128", "16:2x128")]
    public string Shape { get; set; } = "";

    /// <summary>S = T.</summary>
    [Params(512, 2048)]
    public int Length { get; set; }

    /// <summary>Loads the sessions.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _data = new PrefillData(AttentionShape.Parse(Shape), Length, causal: true);
        _builtIn = new NodeSession(BuiltInNodes.Prefill(_data, Side.BuiltInPlain, likely: true).Last(), 1);
        _plain = new NodeSession(OwnNodes.Prefill(_data, Side.OwnPlain, present: true), 1);
        _steered = new NodeSession(OwnNodes.Prefill(_data, Side.OwnSteered, present: true), 1);
    }

    /// <summary>Frees them.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _builtIn.Dispose();
        _plain.Dispose();
        _steered.Dispose();
        _data.Dispose();
    }

    /// <summary>com.microsoft::GroupQueryAttention on its tiled path.</summary>
    [Benchmark(Baseline = true)]
    public void BuiltIn() => _builtIn.Run();

    /// <summary>SteeredAttention without roles.</summary>
    [Benchmark]
    public void Plain() => _plain.Run();

    /// <summary>SteeredAttention with every head steered.</summary>
    [Benchmark]
    public void Steered() => _steered.Run();
}
