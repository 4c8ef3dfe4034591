using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Tests.OnnxRuntime.Interop;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>One node in a real session: its inputs are given by position, null for one that it skips.</summary>
internal sealed class OpNode : IDisposable
{
    private readonly List<OrtTensor?> _inputs = [];

    public required string Op { get; init; }

    public string Domain { get; init; } = AttentionKernelsOps.Domain;

    public Dictionary<string, object> Attributes { get; init; } = [];

    /// <summary>Names of the outputs to list, "" for one to skip.</summary>
    public required string[] Outputs { get; init; }

    public int Threads { get; init; } = 2;

    public OnnxElementType OutputType { get; init; } = OnnxElementType.Float;

    /// <summary>Adds the next input.</summary>
    public OpNode Add<T>(T[]? values, params ReadOnlySpan<long> shape)
        where T : unmanaged
    {
        _inputs.Add(values == null ? null : OrtTensor.Over(values, shape));
        return this;
    }

    public OpNode Skip(int count = 1)
    {
        _inputs.AddRange(new OrtTensor?[count]);
        return this;
    }

    public OpNode Replace<T>(int index, T[]? values, params ReadOnlySpan<long> shape)
        where T : unmanaged
    {
        while (_inputs.Count <= index)
        {
            _inputs.Add(null);
        }
        _inputs[index]?.Dispose();
        _inputs[index] = values == null ? null : OrtTensor.Over(values, shape);
        return this;
    }

    /// <summary>Creates a session of this node, runs it, and returns every listed output as float32.</summary>
    public Dictionary<string, float[]> Run()
    {
        using OrtSession session = CreateSession();
        string[] names = [.. Outputs.Where(o => o.Length > 0)];
        OrtTensor[] tensors = session.Run(Feeds(), names);
        Dictionary<string, float[]> results = [];
        for (int i = 0; i < names.Length; i++)
        {
            using OrtTensor tensor = tensors[i];
            results[names[i]] = tensor.ElementType == OnnxElementType.Float
                ? tensor.Span<float>().ToArray()
                : [.. tensor.Span<Half>().ToArray().Select(h => (float)h)];
        }
        return results;
    }

    public OrtSession CreateSession()
    {
        using OrtSessionOptions options = new() { IntraOpThreads = Threads, LogSeverity = OrtLogSeverity.Fatal };
        // Thousands of short sessions on few cores: threads that wait must not take the time of those that work.
        options.AddConfigEntry("session.intra_op.allow_spinning", "0");
        if (Domain == AttentionKernelsOps.Domain)
        {
            AttentionKernelsOps.Register(options);
        }
        return new OrtSession(ToModel(), options);
    }

    public Dictionary<string, OrtTensor> Feeds() =>
        _inputs.Select((tensor, i) => (Name: $"input{i}", tensor)).Where(p => p.tensor != null).ToDictionary(p => p.Name, p => p.tensor!);

    public byte[] ToModel()
    {
        int used = _inputs.FindLastIndex(i => i != null) + 1;
        OneNodeModel model = new()
        {
            Domain = Domain,
            Op = Op,
            Attributes = Attributes,
            NodeInputs = [.. _inputs.Take(used).Select((tensor, i) => tensor == null ? "" : $"input{i}")],
            NodeOutputs = Outputs,
            GraphInputs = [.. Feeds().Select(f => (f.Key, f.Value.ElementType, (object?[]?)f.Value.Shape.ToArray().Select(_ => (object?)null).ToArray()))],
            GraphOutputs = [.. Outputs.Where(o => o.Length > 0).Select(o => (o, o is "head_scores" or "alignment" or "speaker_scores" ? OnnxElementType.Float : OutputType, (object?[]?)null))],
        };
        return model.ToBytes();
    }

    public void Dispose()
    {
        foreach (OrtTensor? input in _inputs)
        {
            input?.Dispose();
        }
    }
}
