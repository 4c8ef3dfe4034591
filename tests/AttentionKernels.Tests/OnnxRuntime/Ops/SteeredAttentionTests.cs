using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.OnnxRuntime.Ops;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

public sealed unsafe class SteeredAttentionTests
{
    /// <summary>The main claim of the project: in a real session the operator is the float64 reference, whatever the shapes, masks and roles.</summary>
    [Fact]
    public void Node_In_Session_Agrees_With_Reference() => Properties.ForAll(2000, spec =>
    {
        using AttentionCase c = new(spec, nameof(Node_In_Session_Agrees_With_Reference), asOperator: true);
        using OpNode node = OpCase.SteeredAttention(c);
        Dictionary<string, float[]> results = node.Run();
        float[] scores = c.Bias.Keys.IsEmpty ? [] : results["head_scores"];
        c.Check(OpCase.HeadsFirst(results["output"], spec), scores, c.Bias.Keys.IsEmpty ? [] : results["alignment"]);

        int room = Math.Max(spec.Past, spec.T);
        CheckPresent(results["present_key"], c.Problem.Key, c, room, spec.D);
        CheckPresent(results["present_value"], c.Problem.Value, c, room, spec.Dv);
    }, restrict: AsOperator);

    /// <summary>Optional outputs in every combination, skipped by an empty name or left out at the end: what is left has the same bits.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Outputs_May_Be_Left_Out(bool rotary)
    {
        using OpNode node = SmallNodes.SteeredAttention();
        node.Attributes["do_rotary"] = rotary ? 1L : 0;
        string[] all = node.Outputs;
        Dictionary<string, float[]> full = node.Run();
        for (int kept = 0; kept < 16; kept++)
        {
            string[] outputs = [.. all.Select((name, i) => i == 0 || ((kept >> (i - 1)) & 1) != 0 ? name : "")];
            foreach (int trailing in (int[])[5, Array.FindLastIndex(outputs, o => o.Length > 0) + 1])
            {
                node.Outputs = outputs[..trailing];
                Dictionary<string, float[]> results = node.Run();
                Assert.Equal(outputs.Count(o => o.Length > 0), results.Count);
                Assert.All(results, r => Assert.Equal(full[r.Key], r.Value));
            }
        }
    }

    /// <summary>Policy "none" measures and changes nothing: the output of a node without roles, the scores of one that steers.</summary>
    [Fact]
    public void Policy_None_Scores_And_Leaves_The_Output()
    {
        using OpNode node = SmallNodes.SteeredAttention();
        node.Replace<float>(18, null);
        node.Attributes["lambda"] = -1f;
        Dictionary<string, float[]> steered = node.Run();
        node.Attributes["policy"] = "none";
        Dictionary<string, float[]> none = node.Run();
        for (int i = 12; i <= 17; i++)
        {
            node.Replace<byte>(i, null);
        }
        Dictionary<string, float[]> plain = node.Run();

        Assert.NotEqual(plain["output"], steered["output"]);
        Assert.Equal(plain["output"], none["output"]);
        // The same sums in another order: classes apart or together.
        Assert.All(none["head_scores"].Zip(steered["head_scores"]), s => Assert.Equal(s.First, s.Second, 1e-6f * s.First));
        Assert.All(none["alignment"].Chunk(4), a => Assert.Equal((a[0], a[2]), (a[1], a[3])));
        Assert.All(plain["head_scores"].Concat(plain["alignment"]), x => Assert.Equal(0, x));
        Assert.All(none["head_scores"], x => Assert.True(x > 0));
    }

    /// <summary>Defaults: all keys valid, T = past + new, K = H, positions count from the first new key, scale 1/sqrt(D), no window, causal.</summary>
    [Fact]
    public void Optional_Inputs_And_Attributes_Have_Their_Defaults()
    {
        using OpNode node = SmallNodes.SteeredAttention();
        for (int i = 12; i <= 18; i++)
        {
            node.Replace<byte>(i, null);
        }
        node.Replace<float>(10, null);
        foreach (string name in (string[])["scale", "softcap", "alpha", "lambda", "local_window_size", "clamp_negative", "policy", "rotary_interleaved"])
        {
            node.Attributes.Remove(name);
        }
        Dictionary<string, float[]> given = node.Replace<int>(5, [7, 7], 2).Replace<int>(6, [8], 1).Replace<long>(9, [5, 6, 7, 5, 6, 7], 2, 3).Run();
        Dictionary<string, float[]> implied = node.Replace<int>(5, null).Replace<int>(6, null).Replace<long>(9, null).Run();
        Same(given, implied);

        foreach ((string name, object value) in new Dictionary<string, object>
        {
            ["scale"] = 0.5f,
            ["softcap"] = 0f,
            ["alpha"] = 1f,
            ["lambda"] = 5e-5f,
            ["local_window_size"] = -1L,
            ["clamp_negative"] = 0L,
            ["policy"] = "social",
            ["rotary_interleaved"] = 0L,
        })
        {
            node.Attributes[name] = value;
        }
        Same(given, node.Run());
        node.Attributes.Remove("causal");
        Same(given, node.Run());
        node.Attributes.Remove("do_rotary");
        Assert.NotEqual(given["output"], node.Run()["output"]);
    }

    /// <summary>One session, three threads, each with its own lengths: the bits of a run alone.</summary>
    [Theory]
    [InlineData("SteeredAttention")]
    [InlineData("GroupQueryAttention")]
    public void Concurrent_Runs_Do_Not_Mix(string op)
    {
        using OpNode node = SmallNodes.Of(op);
        using OrtSession session = node.CreateSession();
        Thread[] threads = new Thread[3];
        Exception?[] failures = new Exception?[threads.Length];
        Dictionary<string, float[]>[] expected = new Dictionary<string, float[]>[threads.Length];
        for (int t = 0; t < threads.Length; t++)
        {
            int own = t;
            using OpNode first = SmallNodes.Of(op).Replace<int>(5, [6 - own, 4 + (own % 2)], 2);
            expected[t] = first.Run(session);
            threads[t] = new Thread(() =>
            {
                try
                {
                    for (int round = 0; round < 60; round++)
                    {
                        using OpNode mine = SmallNodes.Of(op).Replace<int>(5, [6 - own, 4 + (own % 2)], 2);
                        Same(expected[own], mine.Run(session));
                    }
                }
                catch (Exception e)
                {
                    failures[own] = e;
                }
            });
        }
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());
        Assert.All(failures, Assert.Null);
        Assert.NotEqual(expected[0]["output"], expected[1]["output"]);
    }

    /// <summary>With every input and output, in every type, and without roles.</summary>
    [Theory]
    [InlineData("SteeredAttention", ElementType.Float32, true)]
    [InlineData("SteeredAttention", ElementType.Float16, true)]
    [InlineData("SteeredAttention", ElementType.BFloat16, true)]
    [InlineData("SteeredAttention", ElementType.Float32, false)]
    [InlineData("GroupQueryAttention", ElementType.Float32, true)]
    [InlineData("MultiHeadAttention", ElementType.BFloat16, true)]
    public void Compute_Allocates_Nothing_Managed(string name, ElementType type, bool roles)
    {
        OnnxElementType tensors = type.ToOnnx();
        MeasuredOp op = new(name switch
        {
            "SteeredAttention" => new SteeredAttentionOp(tensors),
            "GroupQueryAttention" => new GroupQueryAttentionOp(tensors, tensors),
            _ => new MultiHeadAttentionOp(tensors),
        });
        using OpNode source = SmallNodes.Of(name);
        using OpNode node = new()
        {
            Op = op.Name,
            Domain = "test.measured",
            Library = new OrtDomain(OrtApi.Default, "test.measured", op),
            Outputs = source.Outputs,
            Attributes = source.Attributes,
            Threads = 1,
            OutputType = type.ToOnnx(),
        };
        node.AddAll(source, type);
        for (int i = 12; i <= 18 && !roles; i++)
        {
            node.Replace<byte>(i, null);
        }
        using OrtSession session = node.CreateSession();
        for (int round = 0; round < 5; round++)
        {
            op.Allocated = -1;
            node.Run(session);
            if (round > 1)
            {
                Assert.Equal(0, op.Allocated);
            }
        }
    }

    /// <summary>Declared names of dimensions reach the outputs; present has a known length only without a past.</summary>
    [Fact]
    public void Shapes_Are_Inferred()
    {
        Dictionary<string, object> attributes = new() { ["num_heads"] = 4L, ["kv_num_heads"] = 2L };
        (string, OnnxElementType)[] outputs =
        [
            ("output", OnnxElementType.Float16), ("present_key", OnnxElementType.Float16), ("present_value", OnnxElementType.Float16),
            ("head_scores", OnnxElementType.Float), ("alignment", OnnxElementType.Float),
        ];
        (string, OnnxElementType, object?[]?)[] inputs =
        [
            ("query", OnnxElementType.Float16, ["batch", "rows", 32L]), ("key", OnnxElementType.Float16, ["batch", "new", 16L]),
            ("value", OnnxElementType.Float16, ["batch", "new", 24L]),
        ];
        Assert.Equal(
            [
                "output Float16 [batch,rows,48]", "present_key Float16 [batch,2,new,8]", "present_value Float16 [batch,2,new,12]",
                "head_scores Float [batch,4]", "alignment Float [batch,4,4]",
            ],
            SmallNodes.InferredShapes("SteeredAttention", attributes, inputs, outputs));
        Assert.Equal(
            [
                "output Float16 [batch,rows,48]", "present_key Float16 [batch,2,?,8]", "present_value Float16 [batch,2,?,12]",
                "head_scores Float [batch,4]", "alignment Float [batch,4,4]",
            ],
            SmallNodes.InferredShapes(
                "SteeredAttention",
                attributes,
                [.. inputs, ("past_key", OnnxElementType.Float16, ["batch", 2L, "past", 8L]), ("past_value", OnnxElementType.Float16, ["batch", 2L, "past", 12L])],
                outputs));
    }

    private static void Same(Dictionary<string, float[]> expected, Dictionary<string, float[]> actual)
    {
        Assert.Equal(expected.Keys, actual.Keys);
        Assert.All(expected, e => Assert.Equal(e.Value, actual[e.Key]));
    }

    /// <summary>Another op that notes what the Compute of its kernel allocates.</summary>
    private sealed class MeasuredOp(CustomOp op) : CustomOp
    {
        public long Allocated { get; set; }

        public override string Name => op.Name;

        public override IReadOnlyList<OpParameter> Inputs => op.Inputs;

        public override IReadOnlyList<OpParameter> Outputs => op.Outputs;

        public override CustomOpKernel CreateKernel(in KernelInfo info) => new Kernel(this, op.CreateKernel(info));

        public override void InferShapes(in ShapeInferenceContext context) => op.InferShapes(context);

        private sealed class Kernel(MeasuredOp measured, CustomOpKernel kernel) : CustomOpKernel
        {
            public override void Compute(in KernelContext context)
            {
                long before = GC.GetAllocatedBytesForCurrentThread();
                kernel.Compute(context);
                measured.Allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            }
        }
    }

    private static CaseSpec AsOperator(CaseSpec spec) => spec with
    {
        // A sink input has the tensors' type: what 16 bits cannot hold would be another problem.
        Sink = spec.Sink && spec.Type == ElementType.Float32,
        Layout = LayoutMode.RowsFirst,
        Past = spec.Past >= spec.T ? spec.T - 1 : spec.Past,
    };

    /// <summary>present holds exactly the valid keys or values.</summary>
    private static void CheckPresent(float[] present, TensorView expected, AttentionCase c, int room, int size)
    {
        Assert.Equal(c.Spec.B * c.Spec.Kv * room * size, present.Length);
        for (int b = 0; b < c.Spec.B; b++)
        {
            for (int h = 0; h < c.Spec.Kv; h++)
            {
                for (int s = 0; s < c.Problem.KeyLengths[b]; s++)
                {
                    for (int d = 0; d < size; d++)
                    {
                        float actual = present[((((b * c.Spec.Kv) + h) * room) + s) * size + d];
                        if (actual != expected.Load(b, h, s, d))
                        {
                            Assert.Fail($"present[{b},{h},{s},{d}] is {actual}, expected {expected.Load(b, h, s, d)}; {c.Repro}");
                        }
                    }
                }
            }
        }
    }
}
