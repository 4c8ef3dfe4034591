using System.Diagnostics;
using AttentionKernels.Bench.Nodes;
using AttentionKernels.Bench.Report;

namespace AttentionKernels.Bench.Compare;

/// <summary>Measures cases one after the other.</summary>
internal sealed class CompareRunner
{
    // A quick run ends within a minute: this much for measuring, the rest for the process, the reports and one long last run.
    private static readonly TimeSpan QuickTime = TimeSpan.FromSeconds(36);
    private static readonly TimeSpan QuickLimit = TimeSpan.FromSeconds(42);
    private static readonly TimeSpan FullTimePerCase = TimeSpan.FromSeconds(4);

    private const int ProofLength = 512;

    // S x S tensors of a case may take this part of the machine's memory: the bias, the output, and each built-in's own copy of either.
    private const double MemoryPart = 0.7;
    private const int SquareTensors = 6;

    private static readonly Side[] OwnSides = [Side.OwnPlain, Side.OwnSteered, Side.OwnScores];
    private static readonly Side[] SquareSides = [Side.BuiltInBias, Side.BuiltInScores];

    private readonly CompareRequest _request;
    private readonly Action<string> _progress;
    private readonly CancellationToken _cancellation;
    private readonly RivalChoice _rivals;
    private readonly KernelProof _proof = new();
    private readonly long _start = Stopwatch.GetTimestamp();

    private CompareRunner(CompareRequest request, Action<string> progress, CancellationToken cancellation)
    {
        (_request, _progress, _cancellation) = (request, progress, cancellation);
        _rivals = new RivalChoice(request.Quick, cancellation);
    }

    /// <summary>Runs a request.</summary>
    /// <param name="request">What to compare.</param>
    /// <param name="progress">Told what happens next.</param>
    /// <param name="cancellation">Ends it between two runs of a node.</param>
    /// <exception cref="BenchException">The sides disagree, another kernel ran, or no case fits the filter.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellation"/> was cancelled.</exception>
    public static CompareReport Run(CompareRequest request, Action<string> progress, CancellationToken cancellation)
    {
        request.Check();
        IReadOnlyList<CompareCase> cases = request.Cases;
        MachineDescription machine = MachineDescription.Read();
        CompareRunner runner = new(request, progress, cancellation);
        progress("warming up the just-in-time compiler");
        JitWarmUp.Run(cancellation);
        List<CaseResult> results = [];
        for (int i = 0; i < cases.Count; i++)
        {
            if (request.Quick && Stopwatch.GetElapsedTime(runner._start) > QuickLimit)
            {
                progress($"no time is left for {string.Join(", ", cases.Skip(i))}");
                break;
            }
            results.AddRange(cases[i].Decode ? runner.MeasureDecode(cases[i], i, cases.Count) : runner.MeasurePrefill(cases[i], i, cases.Count));
        }
        List<MemoryResult> memory = [];
        foreach (CompareCase c in request.Memory)
        {
            progress($"memory of {c}");
            cancellation.ThrowIfCancellationRequested();
            memory.Add(MemoryMeasurement.Run(c, request.Threads.Max()));
        }
        return new CompareReport(
            request.Quick, request.Override, machine, [.. Bar.All.Select(bar => BarResult.Of(bar, results))], results, memory, runner._rivals.Found, runner._proof.Sentences);
    }

    private IEnumerable<CaseResult> MeasurePrefill(CompareCase c, int index, int count)
    {
        using PrefillData data = new(c.Shape, c.Length, c.Causal);
        double square = (double)sizeof(float) * c.Shape.Heads * c.Length * c.Length;
        bool fits = SquareTensors * square < MemoryPart * GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        foreach (int threads in _request.Threads)
        {
            Announce(c, index, count, threads, fits ? $"roles: {data.Roles}" : "no S x S tensors: they would not fit into memory");
            List<(Side Side, AttentionNode Node)> nodes = [(Side.BuiltInPlain, _rivals.Choose(data, Side.BuiltInPlain, threads))];
            bool present = nodes[0].Node.Outputs[1] != null;
            nodes.AddRange(from side in OwnSides select (side, OwnNode(data, side, nodes[0].Node, present)));
            nodes.AddRange(from side in fits ? SquareSides : [] select (side, _rivals.Choose(data, side, threads)));
            Prove(c, nodes);
            yield return Measure(
                c, index, count, threads, [.. nodes.Select(n => new TimedSide(n.Side, n.Node, data, threads))], sides => CheckPrefill(c, data, sides), data.Operations, null);
        }
    }

    private IEnumerable<CaseResult> MeasureDecode(CompareCase c, int index, int count)
    {
        using DecodeData data = new(c.Shape, c.Length);
        foreach (int threads in _request.Threads)
        {
            Announce(c, index, count, threads, "one new token, shared buffer");
            AttentionNode builtIn = BuiltInNodes.Decode(data), own = _request.Override ? builtIn with { Overridden = true } : OwnNodes.Decode(data);
            foreach ((Side side, AttentionNode node) in ((Side, AttentionNode)[])[(Side.OwnDecode, own), (Side.BuiltInDecode, builtIn)])
            {
                if (!_proof.Knows(side, node))
                {
                    _proof.Check(side, node);
                }
            }
            TimedSide[] sides =
            [
                new(Side.OwnDecode, own, threads),
                new(Side.BuiltInDecode, builtIn, threads),
            ];
            yield return Measure(c, index, count, threads, sides, _ => CheckDecode(c, data, sides), data.Operations, data.Bytes);
        }
    }

    /// <summary>Makes the same nodes for a short sequence and checks their kernels, unless nodes of their kind were checked.</summary>
    private void Prove(CompareCase c, List<(Side Side, AttentionNode Node)> nodes)
    {
        (Side Side, AttentionNode Node)[] unknown = [.. nodes.Where(n => !_proof.Knows(n.Side, n.Node))];
        if (unknown.Length == 0)
        {
            return;
        }
        using PrefillData data = new(c.Shape, ProofLength, c.Causal);
        foreach ((Side side, AttentionNode node) in unknown)
        {
            _cancellation.ThrowIfCancellationRequested();
            AttentionNode small = OwnSides.Contains(side)
                ? OwnNode(data, side, Same(data, Side.BuiltInPlain, nodes[0].Node), node.Outputs.Count > 1 && node.Outputs[1] != null)
                : Same(data, side, node);
            _proof.Check(side, small);
        }
    }

    private AttentionNode OwnNode(PrefillData data, Side side, AttentionNode rival, bool present) =>
        _request.Override ? rival with { Overridden = true } : OwnNodes.Prefill(data, side, present);

    /// <summary>The built-in node of the same kind over other tensors.</summary>
    private static AttentionNode Same(PrefillData data, Side side, AttentionNode node) =>
        BuiltInNodes.Prefill(data, side, false).Single(candidate => candidate.Description == node.Description);

    private CaseResult Measure(
        CompareCase c, int index, int count, int threads, TimedSide[] sides, Func<TimedSide[], Dictionary<string, double>> check, double operations, double? bytes)
    {
        try
        {
            Dictionary<string, double> errors = check(sides);
            double[][] times = Interleaved.Measure([.. sides.Select(s => (Action)s.Run)], [.. sides.Select(s => s.FirstRun)], Budget(c, index, threads), _cancellation);
            Dictionary<Side, SideResult> results = [];
            for (int s = 0; s < sides.Length; s++)
            {
                double median = Statistics.Median(times[s]);
                results.Add(sides[s].Side, new SideResult(sides[s].Node.Description, median, operations / median / 1e6, bytes / median / 1e6, times[s]));
            }
            Dictionary<string, Spread> ratios = Bar.All
                .Where(bar => results.ContainsKey(bar.Numerator) && results.ContainsKey(bar.Denominator))
                .ToDictionary(bar => bar.Key, bar => Spread.OfRatio(results[bar.Numerator].Samples, results[bar.Denominator].Samples));
            return new CaseResult(c.ToString(), threads, times[0].Length, results, ratios, errors);
        }
        finally
        {
            foreach (TimedSide side in sides)
            {
                side.Dispose();
            }
        }
    }

    private static Dictionary<string, double> CheckPrefill(CompareCase c, PrefillData data, TimedSide[] sides)
    {
        Dictionary<Side, float[]> outputs = [];
        Dictionary<Side, float[]> scores = [];
        foreach (TimedSide side in sides)
        {
            side.RunFirst();
            outputs.Add(side.Side, data.Output.Span<float>().ToArray());
            scores.Add(side.Side, side.Reduction?.Scores ?? data.HeadScores.Span<float>().ToArray());
        }
        Agreement.CheckSteered($"{c}", data, outputs[Side.OwnPlain], outputs[Side.OwnSteered]);
        Dictionary<string, double> errors = new()
        {
            ["plain"] = Agreement.Check($"{c}, plain", outputs[Side.OwnPlain], outputs[Side.BuiltInPlain]),
            ["measured"] = Agreement.Check($"{c}, policy none", outputs[Side.OwnScores], outputs[Side.OwnPlain]),
        };
        if (outputs.ContainsKey(Side.BuiltInBias))
        {
            errors.Add("steered", Agreement.Check($"{c}, steered", outputs[Side.OwnSteered], outputs[Side.BuiltInBias]));
            errors.Add("scores", Agreement.Check($"{c}, scores", scores[Side.OwnScores], scores[Side.BuiltInScores]));
        }
        return errors;
    }

    private static Dictionary<string, double> CheckDecode(CompareCase c, DecodeData data, TimedSide[] sides)
    {
        List<float[]> outputs = [];
        foreach (TimedSide side in sides)
        {
            side.RunFirst();
            outputs.Add(data.Output.Span<float>().ToArray());
        }
        return new Dictionary<string, double> { ["decode"] = Agreement.Check($"{c}", outputs[0], outputs[1]) };
    }

    // In a quick run the time that is left goes to the cases that are left, in equal parts; the first ones, decode steps, do not need theirs.
    private RoundBudget Budget(CompareCase c, int index, int threads)
    {
        if (!_request.Quick)
        {
            return new RoundBudget(5, 41, FullTimePerCase, TimeSpan.FromMilliseconds(20));
        }
        int left = ((_request.Cases.Count - index) * _request.Threads.Count) - _request.Threads.ToList().IndexOf(threads);
        TimeSpan slice = (QuickTime - Stopwatch.GetElapsedTime(_start)) / left;
        return new RoundBudget(3, 31, c.Decode ? slice / 4 : slice, TimeSpan.FromMilliseconds(5));
    }

    private void Announce(CompareCase c, int index, int count, int threads, string details) =>
        _progress(FormattableString.Invariant($"[{index + 1}/{count}, {Stopwatch.GetElapsedTime(_start).TotalSeconds:0} s] {c}, {threads} thread(s), {details}"));
}
