using System.Diagnostics;
using AttentionKernels.Bench.Nodes;

namespace AttentionKernels.Bench.Compare;

/// <summary>One side, ready to run: a session, and for scores from an S x S output the reduction behind it.</summary>
internal sealed class TimedSide : IDisposable
{
    private readonly NodeSession _session;

    /// <summary>Loads a side of a prefill.</summary>
    public TimedSide(Side side, AttentionNode node, PrefillData data, int threads)
    {
        (Side, Node, _session) = (side, node, new NodeSession(node, threads));
        Reduction = side == Side.BuiltInScores ? new ScoreReduction(data, BuiltInNodes.GivesLogits(node), threads) : null;
    }

    /// <summary>Loads a side of a decode step.</summary>
    public TimedSide(Side side, AttentionNode node, int threads) => (Side, Node, _session) = (side, node, new NodeSession(node, threads));

    public Side Side { get; }

    public AttentionNode Node { get; }

    /// <summary>Null if the node gives all that is wanted.</summary>
    public ScoreReduction? Reduction { get; }

    /// <summary>Milliseconds of the first run; 0 before it.</summary>
    public double FirstRun { get; private set; }

    /// <summary>The run whose result is checked.</summary>
    public void RunFirst()
    {
        long start = Stopwatch.GetTimestamp();
        Run();
        FirstRun = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    /// <summary>What is timed.</summary>
    public void Run()
    {
        _session.Run();
        Reduction?.Run();
    }

    /// <inheritdoc/>
    public void Dispose() => _session.Dispose();
}
