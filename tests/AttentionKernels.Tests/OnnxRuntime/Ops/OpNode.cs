using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Tests.OnnxRuntime.Interop;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>One node in a real session: its inputs are given by position, null for one that it skips.</summary>
internal sealed class OpNode : IDisposable
{
    private readonly List<OrtTensor?> _inputs = [];

    public required string Op { get; init; }

    public string Domain { get; set; } = AttentionKernelsOps.Domain;

    /// <summary>Where the op is, if it is neither ours nor ONNX Runtime's.</summary>
    public OrtDomain? Library { get; set; }

    /// <summary>What this library computes instead of ONNX Runtime.</summary>
    public AttentionOverrides Overrides { get; set; }

    /// <summary>Version of ONNX's own operators.</summary>
    public int Opset { get; init; } = 17;

    public Dictionary<string, object> Attributes { get; init; } = [];

    /// <summary>Whether the graph declares the rank of its inputs. If not, a tensor of the wrong rank gets as far as the node.</summary>
    public bool RanksKnown { get; init; } = true;

    /// <summary>Names of the outputs to list, "" for one to skip.</summary>
    public required string[] Outputs { get; set; }

    public int Threads { get; init; } = 2;

    public OnnxElementType OutputType { get; init; } = OnnxElementType.Float;

    /// <summary>Adds the next input.</summary>
    public OpNode Add<T>(T[]? values, params ReadOnlySpan<long> shape)
        where T : unmanaged
    {
        _inputs.Add(values == null ? null : OrtTensor.Over(values, shape));
        return this;
    }

    /// <summary>Adds the next input, rounded to a type.</summary>
    public OpNode Add(ElementType type, float[] values, params ReadOnlySpan<long> shape)
    {
        _inputs.Add(Tensors.Of(type, values, shape));
        return this;
    }

    public OpNode Skip(int count = 1)
    {
        _inputs.AddRange(new OrtTensor?[count]);
        return this;
    }

    /// <summary>Adds copies of another node's inputs, float32 rounded to <paramref name="type"/>.</summary>
    public void AddAll(OpNode other, ElementType type)
    {
        for (int i = 0; i < other._inputs.Count; i++)
        {
            OrtTensor? tensor = other._inputs[i];
            _ = tensor?.ElementType switch
            {
                null => Skip(),
                // Input 18 is head_scores_in, float32 for both types.
                OnnxElementType.Float when i != 18 => Add(type, tensor.Span<float>().ToArray(), tensor.Shape),
                OnnxElementType.Float => Add(tensor.Span<float>().ToArray(), tensor.Shape),
                OnnxElementType.Int32 => Add(tensor.Span<int>().ToArray(), tensor.Shape),
                OnnxElementType.Int64 => Add(tensor.Span<long>().ToArray(), tensor.Shape),
                _ => Add(tensor.Span<byte>().ToArray(), tensor.Shape),
            };
        }
    }

    public OpNode Replace<T>(int index, T[]? values, params ReadOnlySpan<long> shape)
        where T : unmanaged => Replace(index, values == null ? null : OrtTensor.Over(values, shape));

    /// <summary>Takes the tensor over.</summary>
    public OpNode Replace(int index, OrtTensor? tensor)
    {
        while (_inputs.Count <= index)
        {
            _inputs.Add(null);
        }
        _inputs[index]?.Dispose();
        _inputs[index] = tensor;
        return this;
    }

    /// <summary>Creates a session of this node, runs it, and returns every listed output as float32.</summary>
    public Dictionary<string, float[]> Run()
    {
        using OrtSession session = CreateSession();
        return Run(session);
    }

    /// <summary>Feeds these inputs to a session that exists.</summary>
    public Dictionary<string, float[]> Run(OrtSession session)
    {
        string[] names = [.. Outputs.Where(o => o.Length > 0)];
        OrtTensor[] tensors = session.Run(Feeds(), names);
        Dictionary<string, float[]> results = [];
        for (int i = 0; i < names.Length; i++)
        {
            using OrtTensor tensor = tensors[i];
            results[names[i]] = Tensors.Floats(tensor);
        }
        return results;
    }

    public OrtSession CreateSession()
    {
        using OrtSessionOptions options = new() { IntraOpThreads = Threads, LogSeverity = OrtLogSeverity.Fatal };
        // Thousands of short sessions on few cores: threads that wait must not take the time of those that work.
        options.AddConfigEntry("session.intra_op.allow_spinning", "0");
        Library?.AddTo(options);
        if (Domain == AttentionKernelsOps.Domain || Overrides != AttentionOverrides.None)
        {
            AttentionKernelsOps.Register(options, Overrides);
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
            Opset = Opset,
            Op = Op,
            Attributes = Attributes,
            NodeInputs = [.. _inputs.Take(used).Select((tensor, i) => tensor == null ? "" : $"input{i}")],
            NodeOutputs = Outputs,
            GraphInputs = [.. Feeds().Select(f => (f.Key, f.Value.ElementType, RanksKnown ? new object?[f.Value.Shape.Length] : null))],
            GraphOutputs = [.. Outputs.Where(o => o.Length > 0).Select(o => (o, TypeOf(o), (object?[]?)null))],
        };
        return model.ToBytes();
    }

    /// <summary>Type of an output: scores are always float32.</summary>
    public OnnxElementType TypeOf(string output) => output is "head_scores" or "alignment" or "speaker_scores" ? OnnxElementType.Float : OutputType;

    public void Dispose()
    {
        foreach (OrtTensor? input in _inputs)
        {
            input?.Dispose();
        }
    }
}
