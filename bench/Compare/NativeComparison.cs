using AttentionKernels.Bench.Nodes;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Bench.Compare;

/// <summary>One problem, computed by the operators of the native library and of this process.</summary>
/// <param name="Name">What was computed.</param>
/// <param name="Managed">Median, milliseconds.</param>
/// <param name="Native">Median, milliseconds.</param>
/// <param name="Ratio">Native to managed, in each round.</param>
/// <param name="SameBits">Whether both gave the same output, bit for bit; they agree within rounding in any case.</param>
internal sealed record NativeComparison(string Name, double Managed, double Native, Spread Ratio, bool SameBits)
{
    private static readonly TimeSpan Sample = TimeSpan.FromMilliseconds(20);

    /// <summary>Measures the quick cases of <see cref="CompareCase"/>, prefills plain and steered.</summary>
    /// <exception cref="BenchException">The sides disagree.</exception>
    public static IEnumerable<NativeComparison> RunAll(string library, int rounds, Action<string> progress, CancellationToken cancellation)
    {
        progress("warming up the just-in-time compiler");
        JitWarmUp.Run(cancellation);
        foreach (CompareCase c in CompareCase.Quick)
        {
            progress($"{c}");
            if (c.Decode)
            {
                using DecodeData data = new(c.Shape, c.Length);
                yield return Run($"{c}", OwnNodes.Decode(data), data.Output, library, rounds, cancellation);
                continue;
            }
            using PrefillData prefill = new(c.Shape, c.Length, c.Causal);
            foreach (Side side in (Side[])[Side.OwnPlain, Side.OwnSteered])
            {
                yield return Run($"{c} {(side == Side.OwnPlain ? "plain" : "steered")}", OwnNodes.Prefill(prefill, side, false), prefill.Output, library, rounds, cancellation);
            }
        }
    }

    private static NativeComparison Run(string name, AttentionNode node, OrtTensor output, string library, int rounds, CancellationToken cancellation)
    {
        using NodeSession managed = new(node, 1), native = new(node, 1, nativeLibrary: library);
        managed.Run();
        float[] expected = output.Span<float>().ToArray();
        output.Span<float>().Clear();
        native.Run();
        float[] actual = output.Span<float>().ToArray();
        Agreement.Check(name, actual, expected);
        double[][] times = Interleaved.Measure([managed.Run, native.Run], [0, 0], new RoundBudget(rounds, rounds, TimeSpan.Zero, Sample), cancellation);
        return new NativeComparison(name, Statistics.Median(times[0]), Statistics.Median(times[1]), Spread.OfRatio(times[1], times[0]), actual.AsSpan().SequenceEqual(expected));
    }
}
