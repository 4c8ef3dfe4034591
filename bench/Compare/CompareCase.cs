using AttentionKernels.Bench.Nodes;

namespace AttentionKernels.Bench.Compare;

/// <summary>One problem that both sides solve.</summary>
/// <param name="Shape">Heads.</param>
/// <param name="Length">S = T of a prefill, T of a decode step.</param>
/// <param name="Causal">Whether a prefill is causal; decode steps are.</param>
/// <param name="Decode">Whether it is one decode step.</param>
internal readonly record struct CompareCase(AttentionShape Shape, int Length, bool Causal, bool Decode)
{
    private static readonly AttentionShape[] Shapes = [new(16, 16, 64), new(16, 16, 128), new(28, 4, 128), new(16, 2, 128)];

    /// <summary>The whole table, short sequences first.</summary>
    public static IReadOnlyList<CompareCase> Full { get; } =
    [
        .. from length in (int[])[512, 1024, 2048, 4096] from shape in Shapes from causal in (bool[])[false, true] select Prefill(shape, length, causal),
        .. from length in (int[])[512, 2048, 8192] from shape in Shapes select DecodeStep(shape, length),
    ];

    /// <summary>What --quick measures: every shape, both masks, both kinds of head ratio.</summary>
    public static IReadOnlyList<CompareCase> Quick { get; } =
    [
        DecodeStep(Shapes[0], 2048),
        DecodeStep(Shapes[2], 8192),
        Prefill(Shapes[0], 1024, false),
        Prefill(Shapes[1], 1024, true),
        Prefill(Shapes[2], 1024, true),
        Prefill(Shapes[3], 1024, false),
    ];

    /// <summary>The shapes whose memory is measured: every one, causal, twice as long as the longest that is timed.</summary>
    public static IReadOnlyList<CompareCase> Memory { get; } = [.. Shapes.Select(shape => Prefill(shape, 8192, true))];

    /// <summary>As "28:4x128 S=1024 causal" or "28:4x128 decode T=2048": what --filter looks at.</summary>
    public override string ToString() => Decode ? $"{Shape} decode T={Length}" : $"{Shape} S={Length} {(Causal ? "causal" : "full")}";

    private static CompareCase Prefill(AttentionShape shape, int length, bool causal) => new(shape, length, causal, false);

    private static CompareCase DecodeStep(AttentionShape shape, int length) => new(shape, length, true, true);
}
