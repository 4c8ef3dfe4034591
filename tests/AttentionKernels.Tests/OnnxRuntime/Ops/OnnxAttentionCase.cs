using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Reference;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>
/// The tensors of an <see cref="OnnxAttentionSpec"/>, the node that gets them, and what it must give. What a row sees is written out here
/// as the specification of ai.onnx Attention says it, key by key, into one big bias for the float64 reference.
/// </summary>
internal sealed unsafe class OnnxAttentionCase : IDisposable
{
    private readonly List<GuardedBuffer> _buffers = [];
    private readonly string _test;
    private readonly AttentionProblem _problem;
    private readonly float[] _query, _key, _value; // [B, heads, rows, size]
    private readonly long[] _maskShape = [];
    private readonly float[] _mask = []; // 0 and -inf for a bool mask
    private readonly long[] _lengths;

    public OnnxAttentionCase(OnnxAttentionSpec spec, string test)
    {
        Spec = spec;
        _test = test;
        Random random = new(spec.Seed);
        _query = Values(random, spec.B * spec.H * spec.S * spec.D, 1.5f);
        _key = Values(random, spec.B * spec.Kv * spec.T * spec.D, 1);
        _value = Values(random, spec.B * spec.Kv * spec.T * spec.Dv, 1);
        _lengths = [.. Enumerable.Range(0, spec.B).Select(_ => spec.Lengths ? random.Next(0, spec.T + 1) : (long)spec.T)];
        if (spec.Mask != MaskMode.None)
        {
            long[] full = [spec.MaskPerBatch ? spec.B : 1, spec.MaskPerHead ? spec.H : 1, spec.MaskPerRow ? spec.S : 1, spec.T - spec.MaskLacks];
            _maskShape = full[^spec.MaskRank..];
            _mask = Values(random, (int)_maskShape.Aggregate(1L, (a, b) => a * b), 2);
            bool rowHidden = false;
            for (int i = 0; i < _mask.Length; i++)
            {
                // Now and then a whole row.
                rowHidden = i % _maskShape[^1] == 0 ? random.Next(10) == 0 : rowHidden;
                _mask[i] = rowHidden || random.Next(4) == 0 ? float.NegativeInfinity : spec.Mask == MaskMode.Bool ? 0 : _mask[i];
            }
        }

        float[] bias = new float[spec.B * spec.H * spec.S * spec.T];
        int n = 0;
        for (int b = 0; b < spec.B; b++)
        {
            for (int h = 0; h < spec.H; h++)
            {
                for (int i = 0; i < spec.S; i++)
                {
                    for (int j = 0; j < spec.T; j++)
                    {
                        bias[n++] = Sees(b, i, j) ? MaskOf(b, h, i, j) : float.NegativeInfinity;
                    }
                }
            }
        }
        if (spec.Poison)
        {
            // Of the first key that the first row does not see, if there is one: other rows may see it.
            int hidden = Array.FindIndex(bias, 0, spec.T, float.IsNegativeInfinity);
            if (hidden >= 0)
            {
                _value[(hidden * spec.Dv) + (spec.Dv / 2)] = float.NaN;
            }
        }
        _problem = new AttentionProblem
        {
            Batch = spec.B,
            Heads = spec.H,
            KvHeads = spec.Kv,
            QueryLength = spec.S,
            KeyLength = spec.T,
            HeadSize = spec.D,
            ValueHeadSize = spec.Dv,
            Scale = spec.Scale != 0 ? spec.Scale : 1 / MathF.Sqrt(spec.D),
            Softcap = spec.Softcap,
            Query = View(_query, spec.H, spec.S, spec.D),
            Key = View(_key, spec.Kv, spec.T, spec.D),
            Value = View(_value, spec.Kv, spec.T, spec.Dv),
            Output = View(new float[1], spec.H, spec.S, spec.Dv),
            Bias = View(bias, spec.H, spec.S, spec.T),
        };
    }

    public OnnxAttentionSpec Spec { get; }

    public string Repro => $"replay with: ATTNK_CASE=\"{Spec}\" dotnet test -c Release --filter {_test}";

    /// <summary>Shape of Y.</summary>
    public long[] OutputShape => Spec.Flat ? [Spec.B, Spec.S, (long)Spec.H * Spec.Dv] : [Spec.B, Spec.H, Spec.S, Spec.Dv];

    /// <summary>Y in float64, in the order of the node's output.</summary>
    public double[] Output() => Outward(AttentionReference.Run<double>(_problem, default).Output, Spec.H, Spec.S, Spec.Dv);

    /// <summary>qk_matmul_output in float64.</summary>
    public double[] Matrix() => AttentionLogitsReference.Run<double>(_problem, (LogitStage)Spec.Mode, double.NegativeInfinity);

    /// <summary>present_key.</summary>
    public float[] PresentKey => _key;

    /// <summary>present_value.</summary>
    public float[] PresentValue => _value;

    /// <summary>The node; <paramref name="ours"/>: on our kernel, otherwise on ONNX Runtime's.</summary>
    public OpNode Node(bool ours = true)
    {
        OnnxAttentionSpec spec = Spec;
        string[] outputs = ["Y", spec.Present ? "present_key" : "", spec.Present ? "present_value" : "", spec.Mode >= 0 ? "qk_matmul_output" : ""];
        OpNode node = new()
        {
            Op = "Attention",
            Domain = "",
            Opset = spec.Lengths || spec.Seed % 2 == 0 ? 24 : 23,
            Library = ours ? OnnxAttentionNodes.Library : null,
            Outputs = outputs[..(Array.FindLastIndex(outputs, o => o.Length > 0) + 1)],
            OutputType = spec.Type.ToOnnx(),
            Threads = 1 + (spec.Seed % 2),
        };
        if (spec.Flat)
        {
            node.Attributes["q_num_heads"] = (long)spec.H;
            node.Attributes["kv_num_heads"] = (long)spec.Kv;
        }
        Set("is_causal", spec.Causal ? 1L : 0, spec.Causal);
        Set("scale", spec.Scale, spec.Scale != 0);
        Set("softcap", spec.Softcap, spec.Softcap != 0);
        Set("softmax_precision", ((long[])[1, 10, 11, 16])[spec.Seed % 4], ours && spec.Seed % 3 == 0);
        Set("left_window_size", (long)spec.Left, spec.Left >= 0);
        Set("right_window_size", (long)spec.Right, spec.Right >= 0);
        Set("qk_matmul_output_mode", (long)spec.Mode, spec.Mode >= 0);

        Add(_query, spec.H, 0, spec.S, spec.S, spec.D, spec.Flat);
        Add(_key, spec.Kv, spec.Past, spec.NewKeys, spec.T, spec.D, spec.Flat);
        Add(_value, spec.Kv, spec.Past, spec.NewKeys, spec.T, spec.Dv, spec.Flat);
        _ = spec.Mask switch
        {
            MaskMode.None => node.Skip(),
            MaskMode.Bool => node.Add([.. _mask.Select(x => x == 0)], _maskShape),
            _ => node.Add(spec.Type, _mask, _maskShape),
        };
        if (spec.Past > 0)
        {
            Add(_key, spec.Kv, 0, spec.Past, spec.T, spec.D, false);
            Add(_value, spec.Kv, 0, spec.Past, spec.T, spec.Dv, false);
        }
        else
        {
            node.Skip(2);
        }
        return spec.Lengths ? node.Add(_lengths, spec.B) : node;

        void Set(string name, object value, bool given)
        {
            if (given)
            {
                node.Attributes[name] = value;
            }
        }

        void Add(float[] values, int heads, int first, int rows, int of, int size, bool flat)
        {
            float[] part = [.. Enumerable.Range(0, spec.B * heads).SelectMany(h => values.AsSpan(((h * of) + first) * size, rows * size).ToArray())];
            _ = flat ? node.Add(spec.Type, SideBySide(part, heads, rows, size), spec.B, rows, heads * size) : node.Add(spec.Type, part, spec.B, heads, rows, size);
        }
    }

    /// <summary>Compares what a session gave with the reference; its errors may be <paramref name="sides"/> times what plain attention's are, and <paramref name="extra"/> beside.</summary>
    public void Check(Dictionary<string, float[]> results, int sides = 1, double extra = 0)
    {
        Tolerance.Check(
            "Y", results["Y"], Output(),
            order => Outward(AttentionReference.Run<float>(_problem, default, order).Output, Spec.H, Spec.S, Spec.Dv), Spec.Type, Repro, sides, extra);
        if (Spec.Mode >= 0)
        {
            Tolerance.Check(
                "qk_matmul_output", results["qk_matmul_output"], Matrix(),
                order => AttentionLogitsReference.Run<float>(_problem, (LogitStage)Spec.Mode, double.NegativeInfinity, order), Spec.Type, Repro, sides);
        }
        if (Spec.Present)
        {
            Assert.True(results["present_key"].AsSpan().SequenceEqual(PresentKey), $"present_key is not past_key and K; {Repro}");
            Assert.True(results["present_value"].AsSpan().SequenceEqual(PresentValue), $"present_value is not past_value and V; {Repro}");
        }
    }

    public void Dispose() => _buffers.ForEach(b => b.Dispose());

    /// <summary>Whether causality, window and lengths let row i see key j.</summary>
    private bool Sees(int b, int i, int j)
    {
        long offset = Spec.Past > 0 ? Spec.Past : Spec.Lengths ? _lengths[b] - Spec.S : 0;
        long position = offset + i;
        return j < _lengths[b]
            && (!Spec.Causal || j <= position)
            && (Spec.Left < 0 || j >= position - Spec.Left)
            && (Spec.Right < 0 || j <= position + Spec.Right);
    }

    private float MaskOf(int b, int h, int i, int j)
    {
        if (Spec.Mask == MaskMode.None)
        {
            return 0;
        }
        if (j >= _maskShape[^1])
        {
            return float.NegativeInfinity;
        }
        long at = 0;
        int[] index = [b, h, i, j];
        for (int axis = 0; axis < _maskShape.Length; axis++)
        {
            int of = index[axis + 4 - _maskShape.Length];
            at = (at * _maskShape[axis]) + (_maskShape[axis] == 1 ? 0 : of);
        }
        return _mask[at];
    }

    /// <summary>Normal numbers that the type has.</summary>
    private float[] Values(Random random, int count, float scale)
    {
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
        {
            double normal = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
            values[i] = Tolerance.Rounded(Spec.Type, (float)normal * scale);
        }
        return values;
    }

    private TensorView View(float[] values, int heads, int rows, int size)
    {
        GuardedBuffer buffer = GuardedBuffer.Of<float>(values);
        _buffers.Add(buffer);
        return TensorView.Bhsd(buffer.Data, ElementType.Float32, heads, rows, size);
    }

    private T[] Outward<T>(T[] values, int heads, int rows, int size) => Spec.Flat ? SideBySide(values, heads, rows, size) : values;

    /// <summary>[B, heads, rows, size] as [B, rows, heads * size].</summary>
    private T[] SideBySide<T>(T[] values, int heads, int rows, int size)
    {
        T[] result = new T[values.Length];
        for (int b = 0; b < Spec.B; b++)
        {
            for (int h = 0; h < heads; h++)
            {
                for (int s = 0; s < rows; s++)
                {
                    Array.Copy(values, ((((b * heads) + h) * rows) + s) * size, result, ((((b * rows) + s) * heads) + h) * size, size);
                }
            }
        }
        return result;
    }
}
