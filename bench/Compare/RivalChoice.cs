using AttentionKernels.Bench.Nodes;

namespace AttentionKernels.Bench.Compare;

/// <summary>Finds, for every case, the fastest built-in operator. It is found once and kept.</summary>
/// <param name="quick">Whether to try only those that ever were the fastest, on one thread.</param>
/// <param name="cancellation">Ends the search.</param>
internal sealed class RivalChoice(bool quick, CancellationToken cancellation)
{
    // Longer sequences take what is the fastest here: with 4096 tokens, all candidates of a case would need minutes.
    private const int Longest = 2048;

    private static readonly RoundBudget Budget = new(2, 2, TimeSpan.Zero, TimeSpan.Zero);

    private readonly Dictionary<(AttentionShape, bool, int, int, Side), Rival> _found = [];

    /// <summary>Everything that was found.</summary>
    public IReadOnlyCollection<Rival> Found => _found.Values;

    /// <summary>The fastest one's node.</summary>
    public AttentionNode Choose(PrefillData data, Side side, int threads)
    {
        threads = quick ? 1 : threads;
        int length = Math.Min(data.Length, Longest);
        (AttentionShape, bool, int, int, Side) key = (data.Shape, data.Causal, length, threads, side);
        if (!_found.TryGetValue(key, out Rival? rival))
        {
            if (length == data.Length)
            {
                rival = Find(data, side, threads);
            }
            else
            {
                using PrefillData shorter = new(data.Shape, length, data.Causal);
                rival = Find(shorter, side, threads);
            }
            _found.Add(key, rival);
        }
        return BuiltInNodes.Prefill(data, side, quick).ElementAt(rival.Index);
    }

    private Rival Find(PrefillData data, Side side, int threads)
    {
        AttentionNode[] nodes = [.. BuiltInNodes.Prefill(data, side, quick)];
        string name = new CompareCase(data.Shape, data.Length, data.Causal, false).ToString();
        if (nodes.Length == 1)
        {
            return new Rival(name, threads, side, 0, new Dictionary<string, double> { [nodes[0].ShortName] = 0 });
        }
        List<TimedSide> sides = [];
        try
        {
            foreach (AttentionNode node in nodes)
            {
                sides.Add(new TimedSide(side, node, data, threads));
            }
            double[] best = [.. Interleaved.Measure([.. sides.Select(s => (Action)s.Run)], new double[nodes.Length], Budget, cancellation).Select(times => times.Min())];
            Dictionary<string, double> times = [];
            for (int i = 0; i < nodes.Length; i++)
            {
                times.Add(nodes[i].ShortName, best[i]);
            }
            return new Rival(name, threads, side, Array.IndexOf(best, best.Min()), times);
        }
        finally
        {
            sides.ForEach(s => s.Dispose());
        }
    }
}
