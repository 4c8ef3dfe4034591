using System.Numerics;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>Rotary embedding inside the operator, against a rotation and an attention of this test's own, in float64, and against ONNX Runtime's operator.</summary>
public sealed class RotaryEmbeddingTests
{
    private const int Heads = 4, KvHeads = 2, Positions = 40;

    public static TheoryData<bool, bool, bool, bool, ElementType> Combinations =>
    [
        .. from bits in Enumerable.Range(0, 16)
           from type in Enum.GetValues<ElementType>()
           select (bits % 2 == 1, (bits >> 1) % 2 == 1, (bits >> 2) % 2 == 1, (bits >> 3) % 2 == 1, type),
    ];

    /// <summary>Both layouts, all or part of the dimensions, given or implied positions, a prompt or a past, every type.</summary>
    [Theory]
    [MemberData(nameof(Combinations))]
    public void Rotation_Is_Exact(bool interleaved, bool partial, bool given, bool past, ElementType type)
    {
        Case c = new(batch: 2, rows: past ? 3 : 9, past: past ? 6 : 0, size: 16, rotated: partial ? 6 : 16, interleaved, type, seed: 3);
        long[]? positions = given ? [.. Enumerable.Range(0, c.Batch * c.Rows).Select(i => (long)(i * 7 % Positions))] : null;
        using OpNode node = c.Node("SteeredAttention", AttentionKernels.OnnxRuntime.AttentionKernelsOps.Domain, positions);
        Dictionary<string, float[]> results = node.Run();
        c.Check(results, positions);
    }

    /// <summary>The same inputs mean the same to com.microsoft::GroupQueryAttention.</summary>
    [Theory]
    [InlineData(false, 0, 32, false)]
    [InlineData(true, 0, 32, false)]
    [InlineData(false, 6, 32, false)]
    [InlineData(true, 6, 32, false)]
    [InlineData(false, 0, 16, false)]
    [InlineData(true, 6, 16, false)]
    [InlineData(false, 0, 32, true)]
    [InlineData(true, 6, 32, true)]
    public void Built_In_Operator_Rotates_Alike(bool interleaved, int past, int rotated, bool given)
    {
        Case c = new(batch: past > 0 ? 1 : 2, rows: past > 0 ? 1 : 9, past, size: 32, rotated, interleaved, ElementType.Float32, seed: 4);
        long[]? positions = given ? [.. Enumerable.Range(0, c.Batch * c.Rows).Select(i => (long)(3 + (i * 5 % Positions)) % Positions)] : null;
        using OpNode ours = c.Node("SteeredAttention", AttentionKernels.OnnxRuntime.AttentionKernelsOps.Domain, positions);
        using OpNode builtIn = c.Node("GroupQueryAttention", "com.microsoft", positions), overridden = c.Node("GroupQueryAttention", "com.microsoft", positions);
        overridden.Overrides = AttentionKernels.OnnxRuntime.AttentionOverrides.GroupQueryAttention;
        c.Check(ours.Run(), positions);

        // The built-in takes the first of a prompt's position_ids alone, and counts.
        positions = given && past == 0 ? [.. Enumerable.Range(0, c.Batch * c.Rows).Select(i => positions![0] + (i % c.Rows))] : positions;
        c.Check(overridden.Run(), positions);
        c.Check(builtIn.Run(), positions);
    }

    /// <summary>Packed tensors rotate as separate ones do, bit for bit, in every type.</summary>
    [Theory]
    [InlineData(ElementType.Float32, false)]
    [InlineData(ElementType.Float16, true)]
    [InlineData(ElementType.BFloat16, false)]
    public void Packed_Tensors_Rotate_As_Separate_Ones(ElementType type, bool interleaved)
    {
        Case c = new(batch: 2, rows: 3, past: 6, size: 16, rotated: 12, interleaved, type, seed: 5);
        using OpNode separate = c.Node("GroupQueryAttention", "com.microsoft", null), packed = c.Node("GroupQueryAttention", "com.microsoft", null);
        separate.Overrides = packed.Overrides = AttentionKernels.OnnxRuntime.AttentionOverrides.GroupQueryAttention;
        Dictionary<string, OrtTensor> feeds = packed.Feeds();
        float[][] parts = [.. Enumerable.Range(0, 3).Select(i => Tensors.Floats(feeds[$"input{i}"]))];
        int rows = c.Batch * c.Rows;
        float[] all = [.. Enumerable.Range(0, rows).SelectMany(s => parts.SelectMany(p => p.Skip(s * (p.Length / rows)).Take(p.Length / rows)))];
        packed.Replace(0, Tensors.Of(type, all, c.Batch, c.Rows, all.Length / rows)).Replace(1, null).Replace(2, null);
        Dictionary<string, float[]> expected = separate.Run(), actual = packed.Run();
        c.Check(expected, null);
        Assert.All(expected, e => Assert.Equal(e.Value, actual[e.Key]));
    }

    /// <summary>Inputs of a node with do_rotary, and what must come out.</summary>
    private sealed class Case
    {
        private readonly int _past;
        private readonly int _size;
        private readonly int _pairs;
        private readonly bool _interleaved;
        private readonly ElementType _type;
        private readonly float[] _query;
        private readonly float[] _key;
        private readonly float[] _value;
        private readonly float[] _pastKey;
        private readonly float[] _pastValue;
        private readonly float[] _cos;
        private readonly float[] _sin;

        public Case(int batch, int rows, int past, int size, int rotated, bool interleaved, ElementType type, int seed)
        {
            (Batch, Rows, _past, _size, _pairs, _interleaved, _type) = (batch, rows, past, size, rotated / 2, interleaved, type);
            Random random = new(seed);
            _query = Fill(batch * rows * Heads * size);
            _key = Fill(batch * rows * KvHeads * size);
            _value = Fill(batch * rows * KvHeads * size);
            _pastKey = Fill(batch * KvHeads * past * size);
            _pastValue = Fill(batch * KvHeads * past * size);
            double[] angles = [.. Enumerable.Range(0, Positions * _pairs).Select(i => i / _pairs * Math.Pow(100, -(double)(i % _pairs) / _pairs))];
            _cos = [.. angles.Select(a => Rounded((float)Math.Cos(a)))];
            _sin = [.. angles.Select(a => Rounded((float)Math.Sin(a)))];

            float[] Fill(int count) => [.. Enumerable.Range(0, count).Select(_ => Rounded((random.NextSingle() * 4) - 2))];
        }

        public int Batch { get; }

        public int Rows { get; }

        private int Keys => _past + Rows;

        public OpNode Node(string op, string domain, long[]? positions)
        {
            OpNode node = new()
            {
                Op = op,
                Domain = domain,
                Outputs = ["output", "present_key", "present_value"],
                OutputType = _type.ToOnnx(),
                Attributes = new Dictionary<string, object>
                {
                    ["num_heads"] = (long)Heads,
                    ["kv_num_heads"] = (long)KvHeads,
                    ["do_rotary"] = 1L,
                    ["rotary_interleaved"] = _interleaved ? 1L : 0,
                },
            };
            Add(_query, Batch, Rows, Heads * _size);
            Add(_key, Batch, Rows, KvHeads * _size);
            Add(_value, Batch, Rows, KvHeads * _size);
            if (_past > 0)
            {
                Add(_pastKey, Batch, KvHeads, _past, _size);
                Add(_pastValue, Batch, KvHeads, _past, _size);
            }
            else
            {
                node.Skip(2);
            }
            node.Add([.. Enumerable.Repeat(Keys - 1, Batch)], Batch).Add([Keys], 1);
            Add(_cos, Positions, _pairs);
            Add(_sin, Positions, _pairs);
            return node.Add(positions, Batch, Rows);

            void Add(float[] values, params ReadOnlySpan<long> shape) =>
                node.Add(_type, values, shape);
        }

        public void Check(Dictionary<string, float[]> results, long[]? positions)
        {
            float[] key = results["present_key"], value = results["present_value"];
            for (int b = 0; b < Batch; b++)
            {
                for (int h = 0; h < KvHeads; h++)
                {
                    for (int j = 0; j < Keys; j++)
                    {
                        float[] row = key[(((((b * KvHeads) + h) * Keys) + j) * _size)..(((((b * KvHeads) + h) * Keys) + j + 1) * _size)];
                        if (j < _past)
                        {
                            Assert.Equal(_pastKey[(((((b * KvHeads) + h) * _past) + j) * _size)..(((((b * KvHeads) + h) * _past) + j + 1) * _size)], row);
                            continue;
                        }
                        double[] exact = Rotate<double>(_key, ((b * Rows) + j - _past) * KvHeads + h, Position(positions, b, j - _past));
                        for (int d = 0; d < _size; d++)
                        {
                            // Two products and a sum of numbers up to 2 in float32, then one rounding to the cache's type.
                            double error = Math.Abs(row[d] - exact[d]), most = (4 * Math.Pow(2, -23)) + (Math.Abs(exact[d]) * Rounding);
                            Assert.True(error <= most, $"present_key[{b},{h},{j},{d}] is {row[d]}, expected {exact[d]}");
                        }
                    }
                }
            }
            double[] truth = Attend<double>(key, value, positions);
            Tolerance.Check("output", results["output"], truth, _ => Attend<float>(key, value, positions), _type, "rotary");
        }

        private long Position(long[]? positions, int b, int s) => positions == null ? _past + s : positions[(b * Rows) + s];

        /// <summary>Causal attention of rotated queries over the keys of the cache, [B, S, H * D].</summary>
        private T[] Attend<T>(float[] key, float[] value, long[]? positions)
            where T : IFloatingPointIeee754<T>
        {
            T[] output = new T[Batch * Rows * Heads * _size];
            for (int n = 0; n < Batch * Rows * Heads; n++)
            {
                int h = n % Heads, s = n / Heads % Rows, b = n / Heads / Rows, kv = ((b * KvHeads) + (h / (Heads / KvHeads))) * Keys;
                T[] query = Rotate<T>(_query, n, Position(positions, b, s));
                T[] weights = new T[_past + s + 1];
                for (int j = 0; j < weights.Length; j++)
                {
                    for (int d = 0; d < _size; d++)
                    {
                        weights[j] += query[d] * T.CreateChecked(key[((kv + j) * _size) + d]);
                    }
                    weights[j] /= T.Sqrt(T.CreateChecked(_size));
                }
                T max = weights.Aggregate(T.Max), sum = T.Zero;
                for (int j = 0; j < weights.Length; j++)
                {
                    weights[j] = T.Exp(weights[j] - max);
                    sum += weights[j];
                }
                for (int d = 0; d < _size; d++)
                {
                    for (int j = 0; j < weights.Length; j++)
                    {
                        output[(n * _size) + d] += weights[j] / sum * T.CreateChecked(value[((kv + j) * _size) + d]);
                    }
                }
            }
            return output;
        }

        /// <summary>Head number <paramref name="head"/> of a [.., D] tensor, rotated as a complex number each pair.</summary>
        private T[] Rotate<T>(float[] tensor, int head, long position)
            where T : IFloatingPointIeee754<T>
        {
            T[] x = [.. tensor[(head * _size)..((head + 1) * _size)].Select(T.CreateChecked)];
            for (int i = 0; i < _pairs; i++)
            {
                (int re, int im) = _interleaved ? (2 * i, (2 * i) + 1) : (i, i + _pairs);
                T cos = T.CreateChecked(_cos[(position * _pairs) + i]), sin = T.CreateChecked(_sin[(position * _pairs) + i]);
                (x[re], x[im]) = ((x[re] * cos) - (x[im] * sin), (x[im] * cos) + (x[re] * sin));
            }
            return x;
        }

        /// <summary>Relative error of rounding a float32 to the type.</summary>
        private double Rounding => _type switch
        {
            ElementType.Float16 => Math.Pow(2, -11),
            ElementType.BFloat16 => Math.Pow(2, -8),
            _ => 0,
        };

        private float Rounded(float value) => Tolerance.Rounded(_type, value);
    }
}
