using System.Diagnostics;
using AttentionKernels.Bench.Nodes;
using AttentionKernels.OnnxRuntime.Steering;

namespace AttentionKernels.Bench.Compare;

/// <summary>One side, ready to run: a session; for scores from an S x S output the reduction behind it; for an overridden node the scope around it.</summary>
internal sealed class TimedSide : IDisposable
{
    private readonly NodeSession _session;
    private readonly PrefillData? _data;
    private readonly SteeringScopeSettings? _steering;
    private readonly SteeringRoles? _roles;

    /// <summary>Loads a side of a prefill.</summary>
    public TimedSide(Side side, AttentionNode node, PrefillData data, int threads)
    {
        (Side, Node, _session) = (side, node, new NodeSession(node, threads));
        if (node.Overridden && side != Side.OwnPlain)
        {
            _data = data;
            _roles = new SteeringRoles(1, data.Roles.Modality, data.Roles.Speakers, data.Roles.Spans);
            _steering = new SteeringScopeSettings { Policy = side == Side.OwnSteered ? "social" : "none", Lambda = OwnNodes.LambdaForAllHeads };
        }
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
        if (_steering == null)
        {
            _session.Run();
            Reduction?.Run();
            return;
        }
        using SteeringScope scope = new(_roles!, _steering);
        _session.Run();
        IReadOnlyList<float> scores = scope.Read(0).HeadScores;
        for (int h = 0; h < scores.Count; h++)
        {
            _data!.HeadScores.Span<float>()[h] = scores[h];
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _session.Dispose();
}
