using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime;
using AttentionKernels.Reference;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>com.microsoft::GroupQueryAttention computed by this library: against the float64 reference, and against ONNX Runtime's own kernel on the same node.</summary>
public sealed unsafe class GroupQueryAttentionOverrideTests
{
    /// <summary>Separate and packed tensors, past, lengths, bias, window, soft-cap, scale, sinks, smooth softmax, both matrices of logits.</summary>
    [Fact]
    public void Every_Form_Is_The_Built_In_One() => ForAll(150, nameof(Every_Form_Is_The_Built_In_One), ElementType.Float32, (c, form) =>
    {
        using OpNode ours = form.Node(c), builtIn = form.Node(c);
        ours.Overrides = AttentionOverrides.GroupQueryAttention;
        Dictionary<string, float[]> actual = ours.Run();
        form.Check(c, actual);
        if (new Span<int>(c.Problem.KeyLengths, c.Spec.B).Contains(0))
        {
            return; // ONNX Runtime refuses an element without keys
        }
        Dictionary<string, float[]> oracle = builtIn.Run();

        // Rows behind the last valid key are not defined there, and in thousands one row that ties makes the whole error.
        if (c.Spec.Logits != LogitMode.Large && !c.Spec.Lengths)
        {
            form.Check(c, oracle);
        }
        for (int b = 0, head = c.Spec.Kv * c.Spec.T * c.Spec.D; b < c.Spec.B; b++)
        {
            int valid = c.Problem.KeysOf(b) * c.Spec.D;
            for (int h = 0; h < c.Spec.Kv; h++)
            {
                int at = (b * head) + (h * c.Spec.T * c.Spec.D);
                Assert.True(oracle["present_key"].AsSpan(at, valid).SequenceEqual(actual["present_key"].AsSpan(at, valid)), $"present_key differs; {c.Repro}");
                Assert.True(oracle["present_value"].AsSpan(at, valid).SequenceEqual(actual["present_value"].AsSpan(at, valid)), $"present_value differs; {c.Repro}");
            }
        }
    });

    /// <summary>Types that ONNX Runtime's CPU provider has no kernel for, or another one.</summary>
    [Theory]
    [InlineData(ElementType.Float16)]
    [InlineData(ElementType.BFloat16)]
    public void Sixteen_Bits_Keep_The_Tolerance(ElementType type) => ForAll(50, nameof(Sixteen_Bits_Keep_The_Tolerance), type, (c, form) =>
    {
        using OpNode ours = form.Node(c);
        ours.Overrides = AttentionOverrides.GroupQueryAttention;
        form.Check(c, ours.Run());
    });

    private static void ForAll(int cases, string test, ElementType type, Action<AttentionCase, Form> law) => Properties.ForAll(cases, spec =>
    {
        using AttentionCase c = new(spec, test, asOperator: true);
        // Rows that a bias of -inf hides from every key are another definition there.
        Span<float> bias = new(c.Problem.Bias.Data, spec.Bias && type == ElementType.Float32 ? (spec.BiasPerBatch ? spec.B : 1) * (spec.BiasPerHead ? spec.H : 1) * spec.S * spec.T : 0);
        bias.Replace(float.NegativeInfinity, -3);
        law(c, new Form(c));
    }, salt: (ulong)test.Length + (ulong)type, restrict: spec =>
    {
        int past = spec.Past > 0 ? Math.Max(0, spec.T - spec.S) : 0;
        return spec with
        {
            B = type == ElementType.Float32 && past > 0 && spec.S > 1 ? 1 : spec.B, // ONNX Runtime has no other
            S = past > 0 ? spec.S : spec.T,
            Past = past,
            D = (spec.D + 7) / 8 * 8,
            Dv = (spec.D + 7) / 8 * 8,
            Type = type,
            Window = spec.Causal ? spec.Window : 0,
            Sink = spec.Sink && type == ElementType.Float32,
            Roles = RoleMode.None,
            Layout = LayoutMode.RowsFirst,
            Logits = spec.Logits is LogitMode.NaNInMaskedRows ? LogitMode.Normal : spec.Logits,
        };
    });

    /// <summary>How a case is put to the operator.</summary>
    private sealed class Form
    {
        private readonly bool _packed;
        private readonly bool _smooth;
        private readonly float _scale;
        private readonly int _qk;

        public Form(AttentionCase c)
        {
            Random random = new(c.Spec.Seed);
            _packed = random.Next(2) == 0;
            _smooth = !c.Spec.Sink && random.Next(4) == 0;
            _scale = random.Next(3) == 0 ? 0.3f : 0;
            _qk = random.Next(4) == 0 ? random.Next(1, 3) : 0;
            if (_scale != 0)
            {
                c.Problem.Scale = _scale;
            }
            if (_smooth)
            {
                c.Problem.HeadSink = c.Results("smooth softmax", c.Spec.H);
                new Span<float>(c.Problem.HeadSink, c.Spec.H).Clear();
            }
        }

        public OpNode Node(AttentionCase c)
        {
            CaseSpec spec = c.Spec;
            OpNode node = OpCase.GroupQueryAttention(c, _qk);
            node.Attributes["scale"] = _scale;
            node.Attributes["smooth_softmax"] = _smooth ? 1L : 0;
            if (_packed)
            {
                float[] query = Tensors.Floats(node.Feeds()["input0"]), key = Tensors.Floats(node.Feeds()["input1"]), value = Tensors.Floats(node.Feeds()["input2"]);
                int rows = spec.B * spec.S, q = spec.H * spec.D, k = spec.Kv * spec.D;
                float[] packed = [.. Enumerable.Range(0, rows).SelectMany(i => (float[])
                    [.. query.AsSpan(i * q, q), .. key.AsSpan(i * k, k), .. value.AsSpan(i * k, k)])];
                node.Replace(0, Tensors.Of(spec.Type, packed, spec.B, spec.S, q + (2 * k))).Replace(1, null).Replace(2, null);
            }
            return node;
        }

        public void Check(AttentionCase c, Dictionary<string, float[]> results)
        {
            c.Check(OpCase.HeadsFirst(results["output"], c.Spec), [], []);
            if (_qk != 0)
            {
                LogitStage stage = _qk == 1 ? LogitStage.Masked : LogitStage.Probability;
                AttentionProblem problem = c.Problem;
                Tolerance.Check(
                    "output_qk", results["output_qk"], AttentionLogitsReference.Run<double>(problem, stage, 0), order => AttentionLogitsReference.Run<float>(problem, stage, 0, order),
                    c.Spec.Type, c.Repro);
            }
        }
    }
}
