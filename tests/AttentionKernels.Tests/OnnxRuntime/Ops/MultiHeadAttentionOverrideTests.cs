using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Reference;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>com.microsoft::MultiHeadAttention computed by this library: against the float64 reference, and against ONNX Runtime's own kernel on the same node.</summary>
public sealed unsafe class MultiHeadAttentionOverrideTests
{
    private enum Tokens
    {
        Separate,
        HeadsFirst,
        PackedKeys,
        Packed,
    }

    private enum Padding
    {
        None,
        Lengths,
        Starts,
        Keys,
        RowsAndKeys,
    }

    /// <summary>Self- and cross-attention, past, projection bias, every mask, attention bias, unidirectional, scale, present and qk.</summary>
    [Fact]
    public void Every_Form_Is_The_Built_In_One() => ForAll(200, nameof(Every_Form_Is_The_Built_In_One), ElementType.Float32, (c, form) =>
    {
        using OpNode ours = form.Node(c), builtIn = form.Node(c);
        ours.Overrides = AttentionOverrides.MultiHeadAttention;
        Dictionary<string, float[]> actual = ours.Run();
        form.Check(c, actual);
        if (!form.HasBuiltIn)
        {
            return;
        }
        Dictionary<string, float[]> oracle = builtIn.Run();
        if (c.Spec.Logits != LogitMode.Large)
        {
            form.Check(c, oracle);
        }
        foreach (string present in (string[])["present_key", "present_value"])
        {
            Assert.True(!oracle.TryGetValue(present, out float[]? expected) || expected.AsSpan().SequenceEqual(actual[present]), $"{present} differs; {c.Repro}");
        }
    });

    /// <summary>Types that ONNX Runtime's CPU provider has no kernel for.</summary>
    [Theory]
    [InlineData(ElementType.Float16)]
    [InlineData(ElementType.BFloat16)]
    public void Sixteen_Bits_Keep_The_Tolerance(ElementType type) => ForAll(50, nameof(Sixteen_Bits_Keep_The_Tolerance), type, (c, form) =>
    {
        using OpNode ours = form.Node(c);
        ours.Overrides = AttentionOverrides.MultiHeadAttention;
        form.Check(c, ours.Run());
    });

    private static void ForAll(int cases, string test, ElementType type, Action<AttentionCase, Form> law) => Properties.ForAll(cases, spec =>
    {
        using AttentionCase c = new(spec, test, asOperator: true);
        using Form form = new(c);
        law(c, form);
    }, salt: (ulong)test.Length + 100 + (ulong)type, restrict: spec => spec with
    {
        Kv = spec.H > 6 ? 2 : spec.H,
        Group = 1,
        Type = type,
        Softcap = 0,
        Window = 0,
        Sink = false,
        Bias = false,
        Lengths = false,
        Past = Math.Min(spec.Past, spec.T - 1),
        Causal = spec.Causal && (spec.S == 1 || spec.S == spec.T - Math.Min(spec.Past, spec.T - 1)),
        Roles = RoleMode.None,
        Layout = LayoutMode.RowsFirst,
        Logits = spec.Logits is LogitMode.NaNInMaskedRows ? LogitMode.Normal : spec.Logits,
    });

    /// <summary>How a case is put to the operator. The problem of the case becomes what the operator means.</summary>
    internal sealed class Form : IDisposable
    {
        private readonly Tokens _tokens;
        private readonly Padding _padding;
        private readonly bool _projected;
        private readonly bool _past;
        private readonly bool _present;
        private readonly bool _qk;
        private readonly float _scale;
        private readonly float _filter;
        private readonly float[]? _bias;
        private readonly (int Batches, int Heads) _biasShape;
        private readonly int[] _mask = [];
        private readonly float[] _projection = [];
        private readonly GuardedBuffer? _sum;

        /// <param name="c">Tensors.</param>
        /// <param name="onDevice">Keep to what a device has: no qk, a filter that hides, and in each mask a key that it shows.</param>
        public Form(AttentionCase c, bool onDevice = false)
        {
            CaseSpec spec = c.Spec;
            Random random = new(spec.Seed);
            _past = spec.Past > 0;
            bool self = !_past && spec.S == spec.T && spec.D == spec.Dv;
            _tokens = self && random.Next(4) == 0 ? Tokens.Packed
                : !_past && spec.D == spec.Dv && random.Next(6) == 0 ? Tokens.PackedKeys
                : !_past && random.Next(4) == 0 ? Tokens.HeadsFirst : Tokens.Separate;
            HasBuiltIn = (_tokens == Tokens.Separate && !_past) || (_tokens is Tokens.Separate or Tokens.HeadsFirst && spec.D == spec.Dv);
            _padding = random.Next(2) == 0 ? Padding.None : (Padding)random.Next(1, 5);
            _present = _past || random.Next(2) == 0;
            _qk = random.Next(3) == 0 && !onDevice;
            _projected = _tokens == Tokens.Separate && random.Next(3) == 0;
            _scale = random.Next(3) == 0 ? 0.3f : 0;
            _filter = random.Next(2) == 0 || onDevice ? -10000f : -300f;
            c.Problem.Scale = _scale != 0 ? _scale : c.Problem.Scale;

            // A single row sees everything, unidirectional or not.
            c.Problem.Causal = spec.Causal && spec.S > 1;
            new Span<int>(c.Problem.QueryOffsets, spec.B).Fill(spec.Past);
            if (random.Next(3) == 0)
            {
                _biasShape = (random.Next(2) == 0 ? spec.B : 1, random.Next(2) == 0 ? spec.H : 1);
                _bias = [.. Enumerable.Range(0, _biasShape.Batches * _biasShape.Heads * spec.S * spec.T).Select(_ => Tolerance.Rounded(spec.Type, (random.NextSingle() * 4) - 2))];
            }
            if (_padding != Padding.None)
            {
                bool full = random.Next(5) == 0;
                _mask = _padding switch
                {
                    Padding.Lengths => [.. Enumerable.Range(0, spec.B).Select(_ => full ? spec.T : random.Next(0, spec.T + 1))],
                    Padding.Starts => [.. Enumerable.Range(0, (3 * spec.B) + 2).Select(_ => random.Next(0, spec.T + 1))],
                    _ => [.. Enumerable.Range(0, spec.B * spec.T * (_padding == Padding.Keys ? 1 : spec.S)).Select(_ => full || random.Next(4) > 0 ? 1 : 0)],
                };
            }
            for (int i = 0; onDevice && i < _mask.Length; i++)
            {
                bool isFirst = _padding is Padding.Lengths or Padding.Starts || i % spec.T == 0;
                _mask[i] = isFirst ? Math.Max(1, _mask[i]) : _mask[i];
            }
            if (_bias != null || _mask.Length > 0)
            {
                // Each term is rounded when it is added to the next: the sum is part of the definition.
                _sum = new GuardedBuffer((long)spec.B * spec.H * spec.S * spec.T * sizeof(float));
                Span<float> sum = _sum.Span<float>();
                for (int n = 0; n < sum.Length; n++)
                {
                    int j = n % spec.T, i = n / spec.T % spec.S, h = n / spec.T / spec.S % spec.H, b = n / spec.T / spec.S / spec.H;
                    sum[n] = (_bias == null ? 0 : _bias[((((((_biasShape.Batches == 1 ? 0 : b) * _biasShape.Heads) + (_biasShape.Heads == 1 ? 0 : h)) * spec.S) + i) * spec.T) + j])
                        + (Hides(spec, b, i, j) ? _filter : 0);
                }
                c.Problem.Bias = TensorView.Bhsd(_sum.Data, ElementType.Float32, spec.H, spec.S, spec.T);
            }
            if (_projected)
            {
                // Eighths below 8, which every type adds and subtracts exactly.
                _projection = [.. Enumerable.Range(0, spec.H * (spec.D + spec.D + spec.Dv)).Select(_ => random.Next(-8, 9) / 8f)];
                ToEighths(c, c.Problem.Query, spec.S, spec.D);
                ToEighths(c, c.Problem.Key, spec.T, spec.D);
                ToEighths(c, c.Problem.Value, spec.T, spec.Dv);
            }
        }

        /// <summary>Packed tensors are not implemented on the CPU provider, nor are values of another size beside a past or heads first.</summary>
        public bool HasBuiltIn { get; }

        public OpNode Node(AttentionCase c)
        {
            CaseSpec spec = c.Spec;
            OpNode node = new()
            {
                Domain = "com.microsoft",
                Op = "MultiHeadAttention",
                Outputs = ["output", .. _present ? ["present_key", "present_value"] : _qk ? ["", ""] : Array.Empty<string>(), .. _qk ? ["qk"] : Array.Empty<string>()],
                OutputType = spec.Type.ToOnnx(),
                Threads = 1 + (spec.Seed % 2),
                Attributes = new Dictionary<string, object>
                {
                    ["num_heads"] = (long)spec.H,
                    ["scale"] = _scale,
                    ["unidirectional"] = spec.Causal ? 1L : 0,
                    ["mask_filter_value"] = _filter,
                },
            };
            int fresh = spec.T - spec.Past;
            int[] first = [.. Enumerable.Repeat(spec.Past, spec.B)];
            float[] query = Minus(OpCase.Rows(c, c.Problem.Query, spec.H, spec.S, spec.D, new int[spec.B]), 0, spec.H * spec.D);
            float[] key = Minus(OpCase.Rows(c, c.Problem.Key, spec.H, fresh, spec.D, first), spec.H * spec.D, spec.H * spec.D);
            float[] value = Minus(OpCase.Rows(c, c.Problem.Value, spec.H, fresh, spec.Dv, first), 2 * spec.H * spec.D, spec.H * spec.Dv);
            switch (_tokens)
            {
                case Tokens.Packed:
                    node.Add(spec.Type, Interleave(spec.D, query, key, value), spec.B, spec.S, spec.H, 3, spec.D).Skip(2);
                    break;
                case Tokens.PackedKeys:
                    node.Add(spec.Type, query, spec.B, spec.S, spec.H * spec.D).Add(spec.Type, Interleave(spec.D, key, value), spec.B, fresh, spec.H, 2, spec.D).Skip();
                    break;
                case Tokens.HeadsFirst:
                    node.Add(spec.Type, query, spec.B, spec.S, spec.H * spec.D)
                        .Add(spec.Type, c.Read(c.Problem.Key, spec.H, spec.T, spec.D), spec.B, spec.H, spec.T, spec.D)
                        .Add(spec.Type, c.Read(c.Problem.Value, spec.H, spec.T, spec.Dv), spec.B, spec.H, spec.T, spec.Dv);
                    break;
                default:
                    node.Add(spec.Type, query, spec.B, spec.S, spec.H * spec.D)
                        .Add(spec.Type, key, spec.B, fresh, spec.H * spec.D).Add(spec.Type, value, spec.B, fresh, spec.H * spec.Dv);
                    break;
            }
            _ = _projected ? node.Add(spec.Type, _projection, _projection.Length) : node.Skip();
            _ = _padding switch
            {
                Padding.None => node.Skip(),
                Padding.Keys => node.Add(_mask, spec.B, spec.T),
                Padding.RowsAndKeys => node.Add(_mask, spec.B, spec.S, spec.T),
                _ => node.Add(_mask, _mask.Length),
            };
            _ = _bias == null ? node.Skip() : node.Add(spec.Type, _bias, _biasShape.Batches, _biasShape.Heads, spec.S, spec.T);
            if (_past)
            {
                node.Add(spec.Type, OpCase.PastRows(c, c.Problem.Key, spec.D, first), spec.B, spec.H, spec.Past, spec.D);
                node.Add(spec.Type, OpCase.PastRows(c, c.Problem.Value, spec.Dv, first), spec.B, spec.H, spec.Past, spec.Dv);
            }
            return node;
        }

        public void Check(AttentionCase c, Dictionary<string, float[]> results, double extra = 0)
        {
            // With a projection bias the reference gets what the operator computes with: the sums of the tensors that it was given.
            AttentionProblem problem = c.Problem;
            c.Check(OpCase.HeadsFirst(results["output"], c.Spec), [], [], outputExtra: extra);
            if (_qk)
            {
                float hidden = c.Spec.Type == ElementType.Float16 ? float.NegativeInfinity : float.MinValue;
                float[] actual = results["qk"];
                double[] truth = AttentionLogitsReference.Run<double>(problem, LogitStage.Masked, hidden);

                // The hidden ones must be what they are; the tolerance is for the others.
                for (int i = 0; i < truth.Length; i++)
                {
                    if (truth[i] < -1e30)
                    {
                        Assert.True(actual[i] < -1e30f, $"qk[{i}] is {actual[i]}, expected {truth[i]}; {c.Repro}");
                        (actual[i], truth[i]) = (0, 0);
                    }
                }
                Tolerance.Check("qk", actual, truth, order => [.. AttentionLogitsReference.Run<float>(problem, LogitStage.Masked, hidden, order).Select(x => x < -1e30f ? 0 : x)], c.Spec.Type, c.Repro);
            }
        }

        public void Dispose() => _sum?.Dispose();

        private bool Hides(CaseSpec spec, int b, int i, int j) => _padding switch
        {
            Padding.None => false,
            Padding.Lengths or Padding.Starts => j >= _mask[b],
            Padding.Keys => _mask[(b * spec.T) + j] == 0,
            _ => _mask[(((b * spec.S) + i) * spec.T) + j] == 0,
        };

        /// <summary>Rows before the projection bias.</summary>
        private float[] Minus(float[] rows, int first, int width) =>
            _projected ? [.. rows.Select((x, i) => x - _projection[first + (i % width)])] : rows;

        private static void ToEighths(AttentionCase c, TensorView tensor, int rows, int size)
        {
            for (int b = 0; b < c.Spec.B; b++)
            {
                for (int h = 0; h < c.Spec.H; h++)
                {
                    for (int s = 0; s < rows; s++)
                    {
                        for (int d = 0; d < size; d++)
                        {
                            tensor.Type.Store(tensor.Data, tensor.Offset(b, h, s) + d, Math.Clamp(MathF.Round(tensor.Load(b, h, s, d) * 8) / 8, -7, 7));
                        }
                    }
                }
            }
        }

        /// <summary>[rows, heads, size] each to [rows, heads, parts, size].</summary>
        private static float[] Interleave(int size, params float[][] parts) =>
            [.. Enumerable.Range(0, parts[0].Length / size).SelectMany(i => parts.SelectMany(part => part.Skip(i * size).Take(size)))];
    }
}
