using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using AttentionKernels.Cuda;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.OnnxRuntime.Ops;

namespace AttentionKernels.OnnxRuntime.Steering;

/// <summary>
/// Steers and measures the attention of an unchanged model: while a scope is set on a thread, what that thread runs in sessions that were registered with
/// <see cref="AttentionOverrides"/> follows it, and the scores of each layer are read from it afterwards.
/// </summary>
/// <remarks>
/// ONNX Runtime calls the kernels of a sequential session on the thread that called Run; a scope is seen by that thread alone, so that concurrent runs
/// of one session follow different scopes. It is set by the constructor and ends with Dispose, on the same thread: do not await in between. One
/// scope at a time: a second on the same thread is refused, because the first would miss layers without notice.
/// <para>A scope that no node followed is an error when it is read, and when it ends without having been read: a steering that did not happen cannot go unnoticed.</para>
/// </remarks>
/// <example>
/// <code>
/// using SteeringScope scope = new(SteeringRoles.From(tokens), new SteeringScopeSettings { Layers = LayerRange.Parse("10-19") });
/// session.Run(...);
/// foreach (SteeredLayerScores layer in scope.Read()) { ... }
/// </code>
/// </example>
public sealed unsafe class SteeringScope : IDisposable
{
    [ThreadStatic]
    private static SteeringScope? _current;

    private readonly SteeringRoles _keys;
    private readonly SteeringRoles? _queries;
    private readonly SteeringScopeSettings _settings;
    private readonly Dictionary<OverriddenNode, LayerRecord> _records = new(ReferenceEqualityComparer.Instance);
    private SteeringRoles _resized;
    private int _unnamed;
    private bool _failed;
    private bool _faultTold;
    private bool _disposed;

    /// <summary>Sets a scope on this thread.</summary>
    /// <param name="keys">Roles of the tokens that a node's keys belong to.</param>
    /// <param name="settings">What to do; null: the paper's steering in every layer.</param>
    /// <param name="queries">Roles of the query rows, for attention between two sequences; null: row i has the role of the key at its position.</param>
    /// <exception cref="ArgumentException">A setting is not possible, or roles do not fit together.</exception>
    /// <exception cref="InvalidOperationException">This thread has a scope already.</exception>
    public SteeringScope(SteeringRoles keys, SteeringScopeSettings? settings = null, SteeringRoles? queries = null)
    {
        ArgumentNullException.ThrowIfNull(keys);
        _settings = settings ?? new SteeringScopeSettings();
        _settings.Check();
        if (queries != null && queries.Batch != keys.Batch)
        {
            throw new ArgumentException($"the roles of the query rows have batch {queries.Batch}, expected {keys.Batch} as those of the keys", nameof(queries));
        }
        if (queries != null && _settings.Growing)
        {
            throw new ArgumentException("Growing is set together with roles of the query rows, expected at most one of them", nameof(queries));
        }
        if (_current != null)
        {
            throw new InvalidOperationException($"this thread has {_current} already: dispose of it first; scopes do not nest.");
        }
        (_keys, _queries, _resized) = (keys, queries, keys);
        _current = this;
    }

    /// <summary>The scope of this thread, or null.</summary>
    internal static SteeringScope? Current => _current;

    /// <summary>What each steered or measured node found so far, by layer.</summary>
    /// <exception cref="InvalidOperationException">A layer of the scope has not run; names the scope and the layers that ran.</exception>
    public IReadOnlyList<SteeredLayerScores> Read()
    {
        ThrowIfUnfitted();
        return [.. Steered.Select(record => record.Read())];
    }

    /// <summary>What one layer found so far.</summary>
    /// <exception cref="InvalidOperationException">It has not run, is not a layer of the scope, or has two attention nodes.</exception>
    public SteeredLayerScores Read(int layer)
    {
        ThrowIfUnfitted();
        LayerRecord[] records = [.. Steered.Where(record => record.Layer == layer)];
        return records switch
        {
            [LayerRecord record] => record.Read(),
            [] => throw new InvalidOperationException($"{this} has no layer {layer}; {Ran()}."),
            _ => throw new InvalidOperationException($"{this} has {records.Length} attention nodes in layer {layer}: read all and choose by name."),
        };
    }

    /// <summary>Ends the scope.</summary>
    /// <exception cref="InvalidOperationException">
    /// It was set on another thread; or a layer of it has not run, it was not read, and no node failed (then Run has thrown already).
    /// </exception>
    [SuppressMessage("Design", "CA1065:Do not raise exceptions in unexpected locations", Justification = "The last moment at which a steering that did not happen can be told.")]
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }
        if (_current != this)
        {
            throw new InvalidOperationException($"{this} was set on another thread, expected Dispose there: kernels of that thread still follow it.");
        }
        _current = null;
        _disposed = true;
        foreach (LayerRecord record in _records.Values)
        {
            record.Abandon();
        }
        if (!_failed && !_faultTold)
        {
            ThrowIfUnfitted();
        }
    }

    /// <summary>The scope, for messages.</summary>
    public override string ToString() => $"the steering scope for layers '{_settings.Layers}' with roles of {_keys.Batch} x {_keys.Length} tokens";

    /// <summary>Computes a node that runs on this scope's thread.</summary>
    internal void Attend(OverriddenNode node, in KernelContext context, in AttentionProblem problem, in LogitOutput logits)
    {
        try
        {
            LayerRecord record = RecordOf(node);
            if (_settings.Layers.Contains(record.Layer))
            {
                Steer(node, record, context, problem, logits);
                return;
            }
            AttentionRunner.Run(context, problem, default, logits);
        }
        catch
        {
            _failed = true;
            throw;
        }
    }

    /// <summary>Computes a node that runs on this scope's thread, on a device.</summary>
    internal void Attend(OverriddenNode node, in KernelContext context, CudaNode cuda, in CudaCall call)
    {
        try
        {
            LayerRecord record = RecordOf(node);
            if (_settings.Layers.Contains(record.Layer))
            {
                Steer(node, record, context, cuda, call);
                return;
            }
            cuda.Run(context, call);
        }
        catch
        {
            _failed = true;
            throw;
        }
    }

    private IEnumerable<LayerRecord> Steered => _records.Values.Where(record => _settings.Layers.Contains(record.Layer)).OrderBy(record => record.Layer);

    private void Steer(OverriddenNode node, LayerRecord record, in KernelContext context, in AttentionProblem problem, in LogitOutput logits)
    {
        (int batch, int heads) = (problem.Batch, problem.Heads);
        SocialBias bias = Prepare(node, record, problem, out RoleCounts[] counts);
        if (Array.TrueForAll(counts, count => count.Spoken == 0))
        {
            // A decode step, or a chunk in which nobody speaks.
            AttentionRunner.Run(context, problem, default, logits);
            return;
        }
        float[] scores = Pinned(batch * heads), alignment = Pinned(batch * heads * 4);
        float[]? gate = GateOf(node, record.Layer, batch, heads);
        bias.HeadScores = Address(scores);
        bias.Alignment = Address(alignment);
        bias.HeadScoresIn = gate == null ? null : Address(gate);
        AttentionRunner.Run(context, problem, bias, logits);
        GC.KeepAlive(gate);
        record.Add(scores, alignment, counts);
    }

    /// <summary>The same on a device. Results arrive after the run: the record waits for them when it is read.</summary>
    private void Steer(OverriddenNode node, LayerRecord record, in KernelContext context, CudaNode cuda, CudaCall call)
    {
        (int batch, int heads, int rows, int keys) = (call.Problem.Batch, call.Problem.Heads, call.Problem.QueryLength, call.Problem.KeyLength);
        int[] lengths = new int[batch], offsets = new int[batch];
        fixed (int* hostLengths = lengths, hostOffsets = offsets)
        {
            if (call.HostKeyLengths == null)
            {
                // The lengths are on the device. Those of one element, or of a prompt, follow from the sizes.
                if (batch > 1 && rows != keys)
                {
                    // Rows behind the last token with a role are nobody's, wherever in the batch's elements they stand.
                    if (!_settings.Growing || keys - rows < _keys.Length)
                    {
                        throw CudaNode.Refusal(
                            $"node '{node.Name}' has a batch of {batch} with {rows} rows behind {keys - rows} others, some of them among the {_keys.Length} tokens of {this}: where each element's rows stand is known "
                            + "to the device alone; run prompts whole, or their chunks one element at a time,");
                    }
                    Check(node, call.Problem);
                    record.Size = (batch, heads);
                    cuda.Run(context, call);
                    return;
                }
                lengths.AsSpan().Fill(keys);
                offsets.AsSpan().Fill(keys - rows);
                call.HostKeyLengths = hostLengths;
                call.HostQueryOffsets = hostOffsets;
            }
            SocialBias bias = Prepare(node, record, call.HostProblem, out RoleCounts[] counts);
            if (Array.TrueForAll(counts, count => count.Spoken == 0))
            {
                cuda.Run(context, call);
                return;
            }
            // Alignment starts on a cache line.
            int alignmentAt = ((batch * heads) + 15) & ~15;
            nuint bytes = (nuint)(alignmentAt + (batch * heads * 4)) * sizeof(float);
            using DeviceBuffer results = cuda.Scratch(context, bytes);
            bias.HeadScores = (float*)results.Data;
            bias.Alignment = bias.HeadScores + alignmentAt;
            call.Bias = bias;
            float[]? gate = GateOf(node, record.Layer, batch, heads);
            call.HostGate = gate == null ? null : Address(gate);
            record.Add(cuda.RunAndDownload(context, call, results.Data, bytes), alignmentAt, counts);
            GC.KeepAlive(gate);
        }
    }

    /// <summary>Checks that a call fits, and says what is to happen to it.</summary>
    private SocialBias Prepare(OverriddenNode node, LayerRecord record, in AttentionProblem problem, out RoleCounts[] counts)
    {
        Check(node, problem);
        record.Size = (problem.Batch, problem.Heads);
        if (_resized.Length != problem.KeyLength)
        {
            _resized = _keys.Length == problem.KeyLength ? _keys : _keys.Resize(problem.KeyLength);
        }
        SocialBias bias = new()
        {
            Keys = _resized.View,
            Queries = _queries?.View ?? default,
            Alpha = _settings.EffectiveAlpha,
            Lambda = _settings.Lambda,
            ClampNegative = _settings.ClampNegative,
        };
        counts = new RoleCounts[problem.Batch];
        for (int b = 0; b < problem.Batch; b++)
        {
            counts[b] = RoleCounts.Of(problem, bias, b);
        }
        return bias;
    }

    private void Check(OverriddenNode node, in AttentionProblem problem)
    {
        if (problem.Batch != _keys.Batch)
        {
            throw Argument.Error($"node '{node.Name}' has batch {problem.Batch}, expected {_keys.Batch} as {this}");
        }
        if (problem.KeyLength != _keys.Length && !_settings.Growing)
        {
            throw Argument.Error(
                $"node '{node.Name}' has {problem.KeyLength} keys, expected {_keys.Length} as {this}; a prompt in chunks and decode steps need {nameof(SteeringScopeSettings.Growing)}");
        }
        if (_queries != null && problem.QueryLength != _queries.Length)
        {
            throw Argument.Error($"node '{node.Name}' has {problem.QueryLength} query rows, expected {_queries.Length} as the query roles of {this}");
        }
    }

    /// <summary>The layer's scores in <see cref="SteeringScopeSettings.Gate"/>, pinned; null: there is no gate.</summary>
    private float[]? GateOf(OverriddenNode node, int layer, int batch, int heads)
    {
        if (_settings.Gate == null)
        {
            return null;
        }
        SteeredLayerScores given = _settings.Gate.FirstOrDefault(scores => scores.Layer == layer)
            ?? throw Argument.Error($"node '{node.Name}' is layer {layer}, for which {nameof(SteeringScopeSettings.Gate)} of {this} has no scores");
        if (given.Batch != batch || given.Heads != heads)
        {
            throw Argument.Error($"node '{node.Name}' has batch {batch} and {heads} heads, expected {given.Batch} and {given.Heads} as {nameof(SteeringScopeSettings.Gate)} of {this}");
        }
        float[] gate = Pinned(batch * heads);
        for (int i = 0; i < gate.Length; i++)
        {
            gate[i] = given.HeadScores[i];
        }
        return gate;
    }

    private LayerRecord RecordOf(OverriddenNode node)
    {
        if (!_records.TryGetValue(node, out LayerRecord? record))
        {
            record = new LayerRecord(node.Layer ?? _unnamed++, node.Name);
            _records.Add(node, record);
        }
        return record;
    }

    private void ThrowIfUnfitted()
    {
        LayerRange layers = _settings.Layers;
        int last = _records.Count == 0 ? -1 : _records.Values.Max(record => record.Layer);
        bool beyond = layers.FindFault(last + 1) != null;
        bool hole = Enumerable.Range(0, last + 1).Any(layer => !layers.IsAll && layers.Contains(layer) && !_records.Values.Any(record => record.Layer == layer));
        if (beyond || hole || _records.Count == 0)
        {
            _faultTold = true;
            throw new InvalidOperationException(
                $"{this} fitted {(Steered.Any() ? "not every layer" : "no node")}: {Ran()}. Expected a run on the scope's thread, by a sequential session whose options were registered "
                + "with AttentionOverrides.");
        }
    }

    private string Ran() =>
        _records.Count == 0
            ? "no attention node ran"
            : $"attention nodes ran in layers {LayerRange.Parse(string.Join(',', _records.Values.Select(record => record.Layer)))}";

    private static float[] Pinned(int count) => GC.AllocateUninitializedArray<float>(count, pinned: true);

    private static float* Address(float[] pinned) => (float*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(pinned));
}
