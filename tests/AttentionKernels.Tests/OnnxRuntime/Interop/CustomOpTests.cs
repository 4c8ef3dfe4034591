using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Tests.OnnxRuntime.Interop;

/// <summary>Custom ops through a real session.</summary>
public sealed class CustomOpTests
{
    private static readonly float[] X = [0, 1, 2, 3, 4, 5];
    private static readonly float[] Gain = [1, 2, 1, 2, 1, 2];
    private static readonly float[] Bias = [10, 20, 30, 40, 50, 60];

    [Theory]
    [InlineData("x,gain,bias", "y,largest", new float[] { 10, 23, 33, 49, 56, 75 })]
    [InlineData("x,,bias", "y", new float[] { 10, 21.5f, 33, 44.5f, 56, 67.5f })]
    [InlineData("x,gain", "y,largest", new float[] { 0, 3, 3, 9, 6, 15 })]
    [InlineData("x", "y,", new float[] { 0, 1.5f, 3, 4.5f, 6, 7.5f })]
    public void Optional_Inputs_And_Outputs_May_Be_Left_Out(string inputs, string outputs, float[] expected)
    {
        string[] nodeInputs = inputs.Split(',');
        using OrtSession session = TestSession.Create(TestSession.ScaleAdd(nodeInputs, outputs.Split(','), new() { ["scale"] = 1.5f }));
        using OrtTensor x = OrtTensor.Over(X, 2, 3);
        using OrtTensor gain = OrtTensor.Over(Gain, 2, 3);
        using OrtTensor bias = OrtTensor.Over(Bias, 2, 3);
        Dictionary<string, OrtTensor> all = new() { ["x"] = x, ["gain"] = gain, ["bias"] = bias };
        Dictionary<string, OrtTensor> feeds = all.Where(f => nodeInputs.Contains(f.Key)).ToDictionary();

        foreach (OrtValueInfo output in session.Outputs)
        {
            using OrtTensor result = session.Run(feeds, output.Name)[0];
            Assert.Equal(output.Name == "y" ? expected : [expected.Max()], result.Span<float>().ToArray());
        }
    }

    [Fact]
    public void Overloads_Are_Chosen_By_Element_Type()
    {
        using OrtSession session = TestSession.Create(TestSession.ScaleAdd(["x"], ["y"], new() { ["scale"] = 2f }, OnnxElementType.Float16));
        using OrtTensor x = OrtTensor.Over([(Half)1, (Half)2, (Half)3], 1, 3);
        using OrtTensor y = session.Run(new Dictionary<string, OrtTensor> { ["x"] = x }, "y")[0];
        Assert.Equal([(Half)2, (Half)4, (Half)6], y.Span<Half>().ToArray());
    }

    [Fact]
    public void A_Kernel_Knows_Its_Node()
    {
        string seen = "";
        ScaleAddOp op = new() { OnInfo = text => seen = text };
        using OrtSession session = TestSession.Create(
            TestSession.ScaleAdd(["x", "", "bias"], ["y", ""], new() { ["mode"] = "größer", ["repeat"] = -7L }), op);
        Assert.Equal("node0 3 2 größer -7", seen);
    }

    [Fact]
    public void Missing_Attributes_Are_Null()
    {
        string seen = "";
        ScaleAddOp op = new() { OnInfo = text => seen = text };
        using OrtSession session = TestSession.Create(TestSession.ScaleAdd(["x"], ["y"]), op);
        Assert.Equal("node0 1 1 plain 1", seen);
    }

    public static TheoryData<string, object, string> WrongKinds => new()
    {
        { "scale", 1L, "attribute 'scale' is an integer, expected a float" },
        { "scale", "one", "attribute 'scale' is a string, expected a float" },
        { "scale", new float[] { 1 }, "attribute 'scale' is a list of floats, expected a float" },
        { "repeat", 1.5f, "attribute 'repeat' is a float, expected an integer" },
        { "repeat", new long[] { 1, 2 }, "attribute 'repeat' is a list of integers, expected an integer" },
        { "mode", new string[] { "a", "b" }, "attribute 'mode' is of another kind, expected a string" },
        { "mode", Array.Empty<float>(), "attribute 'mode' is of another kind, expected a string" },
        { "mode", 3L, "attribute 'mode' is an integer, expected a string" },
    };

    [Theory]
    [MemberData(nameof(WrongKinds))]
    public void An_Attribute_Of_The_Wrong_Kind_Is_Named(string name, object value, string message)
    {
        OrtException e = Assert.Throws<OrtException>(() => TestSession.Create(TestSession.ScaleAdd(["x"], ["y"], new() { [name] = value })));
        Assert.Contains($"ScaleAdd node 'node0': {message}", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_Error_In_CreateKernel_Names_The_Node()
    {
        OrtException e = Assert.Throws<OrtException>(() => TestSession.Create(TestSession.ScaleAdd(["x"], ["y"], new() { ["scale"] = -1f })));
        Assert.Contains("ScaleAdd node 'node0': scale is -1, expected at least 0", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_Error_In_Compute_Names_The_Node_And_Leaves_The_Session_Usable()
    {
        int calls = 0;
        ScaleAddOp op = new() { OnCompute = () => _ = calls++ == 0 ? throw new InvalidDataException("ünlucky") : 0 };
        using OrtSession session = TestSession.Create(TestSession.ScaleAdd(["x"], ["y"]), op);
        using OrtTensor x = OrtTensor.Over(X, 2, 3);
        Dictionary<string, OrtTensor> feeds = new() { ["x"] = x };

        OrtException e = Assert.Throws<OrtException>(() => session.Run(feeds, "y"));
        Assert.Contains("ScaleAdd node 'node0': InvalidDataException: ünlucky", e.Message, StringComparison.Ordinal);
        using OrtTensor y = session.Run(feeds, "y")[0];
        Assert.Equal(X, y.Span<float>().ToArray());
    }

    [Fact]
    public void An_Exception_Whose_Message_Throws_Is_Still_An_Error()
    {
        ScaleAddOp op = new() { OnCompute = () => throw new SilentException() };
        using OrtSession session = TestSession.Create(TestSession.ScaleAdd(["x"], ["y"]), op);
        using OrtTensor x = OrtTensor.Over(X, 2, 3);
        OrtException e = Assert.Throws<OrtException>(() => session.Run(new Dictionary<string, OrtTensor> { ["x"] = x }, "y"));
        Assert.Contains("could not be formatted", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_Error_In_InferShapes_Leaves_The_Model_Usable()
    {
        ScaleAddOp op = new() { OnInfer = _ => throw new InvalidOperationException("no shape today") };
        using OrtSession session = TestSession.Create(TestSession.ScaleAdd(["x"], ["y"]), op);
        using OrtTensor x = OrtTensor.Over(X, 2, 3);
        using OrtTensor y = session.Run(new Dictionary<string, OrtTensor> { ["x"] = x }, "y")[0];
        Assert.Equal(X, y.Span<float>().ToArray());
    }

    [Fact]
    public void Shape_Inference_Sees_Inputs_And_Attributes_And_Sets_Outputs()
    {
        List<string> seen = [];
        ScaleAddOp op = new() { OnInfer = seen.Add };
        OneNodeModel model = new()
        {
            Op = "ScaleAdd",
            NodeInputs = ["x", "", "bias"],
            NodeOutputs = ["y", "largest"],
            Attributes = new() { ["scale"] = 0.5f, ["repeat"] = 4L, ["mode"] = "plain" },
            GraphInputs = [("x", OnnxElementType.Float, ["rows", null, 3L]), ("bias", OnnxElementType.Float, ["rows", null, 3L])],
            GraphOutputs = [("y", OnnxElementType.Float, null), ("largest", OnnxElementType.Float, null)],
        };
        using OrtSession session = TestSession.Create(model, op);
        if (OrtApi.Default.Minor < 24)
        {
            Assert.Empty(seen); // not offered, because these releases crash
            return;
        }
        Assert.Contains("3 Float [rows,?,3] none 0.5 4 plain", seen);
        OnnxTensorType y = session.Outputs[0].Type!;
        Assert.Equal("rows", y.Shape[0].Symbol);
        Assert.Equal(-1, y.Shape[1].Value);
        Assert.Equal(3, y.Shape[2].Value);
        Assert.Equal(OrtApi.Default.Minor >= 29 ? "Float [1]" : "Float []", session.Outputs[1].Type!.ToString());
    }

    [Fact]
    public void Shape_Inference_Survives_An_Input_Of_Unknown_Rank()
    {
        List<string> seen = [];
        OneNodeModel model = new()
        {
            Op = "ScaleAdd",
            NodeInputs = ["x"],
            NodeOutputs = ["y"],
            GraphInputs = [("x", OnnxElementType.Float, null)],
            GraphOutputs = [("y", OnnxElementType.Float, null)],
        };
        using OrtSession session = TestSession.Create(model, new ScaleAddOp() { OnInfer = seen.Add });
        Assert.All(seen, text => Assert.StartsWith("1 Float [] none", text, StringComparison.Ordinal));
        using OrtTensor x = OrtTensor.Over(X, 2, 3);
        using OrtTensor y = session.Run(new Dictionary<string, OrtTensor> { ["x"] = x }, "y")[0];
        Assert.Equal(X, y.Span<float>().ToArray());
    }

    [Fact]
    public void Tensors_Without_Elements_Are_Present()
    {
        using OrtSession session = TestSession.Create(TestSession.ScaleAdd(["x", "gain"], ["y", "largest"]));
        using OrtTensor x = OrtTensor.Over(Array.Empty<float>(), 0, 3);
        OrtTensor[] results = session.Run(new Dictionary<string, OrtTensor> { ["x"] = x, ["gain"] = x }, "y", "largest");
        Assert.Equal([0, 3], results[0].Shape.ToArray());
        Assert.Equal([float.NegativeInfinity], results[1].Span<float>().ToArray());
        Array.ForEach(results, r => r.Dispose());
    }

    [Fact]
    public void A_Wrong_Input_Type_Is_An_Error()
    {
        OrtException e = Assert.Throws<OrtException>(() => TestSession.Create(TestSession.ScaleAdd(["x"], ["y"], type: OnnxElementType.Int32)));
        Assert.Contains("node0", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_Op_That_Is_Not_Registered_Is_An_Error()
    {
        using OrtSessionOptions options = new() { LogSeverity = OrtLogSeverity.Fatal };
        byte[] model = TestSession.ScaleAdd(["x"], ["y"]).ToBytes();
        OrtException e = Assert.Throws<OrtException>(() => new OrtSession(model, options));
        Assert.Contains("test.ops:ScaleAdd(-1) is not a registered function/op", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Sessions_Free_Their_Kernels()
    {
        List<WeakReference> kernels = [];
        CountingOp op = new(kernels);
        OrtDomain domain = new(OrtApi.Default, "test.counting", op);
        for (int i = 0; i < 100; i++)
        {
            RunOnce(domain);
        }
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Assert.Equal(100, kernels.Count);
        Assert.DoesNotContain(kernels, k => k.IsAlive);

        static void RunOnce(OrtDomain domain)
        {
            using OrtSessionOptions options = new() { IntraOpThreads = 1 };
            domain.AddTo(options);
            byte[] model = new OneNodeModel
            {
                Domain = "test.counting",
                Op = "Counting",
                NodeInputs = ["x"],
                NodeOutputs = ["y"],
                GraphInputs = [("x", OnnxElementType.Int64, [])],
                GraphOutputs = [("y", OnnxElementType.Int64, [])],
            }.ToBytes();
            using OrtSession session = new(model, options);
            using OrtTensor x = OrtTensor.Over([41L]);
            using OrtTensor y = session.Run(new Dictionary<string, OrtTensor> { ["x"] = x }, "y")[0];
            Assert.Equal(42, y.Span<long>()[0]);
        }
    }

    [Fact]
    public void Concurrent_Runs_Do_Not_Mix()
    {
        using OrtSession session = TestSession.Create(TestSession.ScaleAdd(["x", "", "bias"], ["y", "largest"], new() { ["scale"] = 2f }));
        Thread[] threads = new Thread[2];
        int wrong = 0;
        Exception? failure = null;
        for (int t = 0; t < threads.Length; t++)
        {
            int seed = t + 1;
            threads[t] = new Thread(() =>
            {
                try
                {
                    for (int round = 0; round < 100; round++)
                    {
                        float[] data = [.. Enumerable.Range(0, 300).Select(i => (float)((i * seed) + round))];
                        using OrtTensor x = OrtTensor.Over(data, 100, 3);
                        OrtTensor[] results = session.Run(new Dictionary<string, OrtTensor> { ["x"] = x, ["bias"] = x }, "y", "largest");
                        if (!results[0].Span<float>().SequenceEqual([.. data.Select(v => 3 * v)]) || results[1].Span<float>()[0] != 3 * data[^1])
                        {
                            Interlocked.Increment(ref wrong);
                        }
                        Array.ForEach(results, r => r.Dispose());
                    }
                }
                catch (Exception e)
                {
                    failure = e;
                }
            });
            threads[t].Start();
        }
        Array.ForEach(threads, t => t.Join());
        Assert.Null(failure);
        Assert.Equal(0, wrong);
    }

    [Fact]
    public void Compute_Allocates_Nothing_Managed()
    {
        using OrtSession session = TestSession.Create(TestSession.ScaleAdd(["x", "gain", "bias"], ["y", "largest"]));
        using OrtTensor x = OrtTensor.Over(X, 2, 3);
        Dictionary<string, OrtTensor> feeds = new() { ["x"] = x, ["gain"] = x, ["bias"] = x };
        for (int round = 0; round < 3; round++)
        {
            ScaleAddOp.AllocatedBytes = -1;
            Array.ForEach(session.Run(feeds, "y", "largest"), r => r.Dispose());
            if (round > 0)
            {
                Assert.Equal(0, ScaleAddOp.AllocatedBytes);
            }
        }
    }

    [Fact]
    public void Too_Much_Scratch_Is_An_Error()
    {
        ScratchOp op = new();
        OrtDomain domain = new(OrtApi.Default, "test.scratch", op);
        using OrtSessionOptions options = new() { LogSeverity = OrtLogSeverity.Fatal };
        domain.AddTo(options);
        using OrtSession session = new(
            new OneNodeModel
            {
                Domain = "test.scratch",
                Op = "Scratch",
                NodeInputs = ["count"],
                NodeOutputs = ["offset"],
                GraphInputs = [("count", OnnxElementType.Int64, [1L])],
                GraphOutputs = [("offset", OnnxElementType.Int64, [1L])],
            }.ToBytes(),
            options);
        foreach (long count in (long[])[-1, long.MaxValue, long.MaxValue / 8, 1L << 55])
        {
            Assert.Throws<OrtException>(() => Run(count));
        }
        foreach (long count in (long[])[0, 1, 7, 1000, 1_000_003])
        {
            Assert.Equal(0, Run(count));
        }

        long Run(long count)
        {
            using OrtTensor tensor = OrtTensor.Over([count], 1);
            using OrtTensor offset = session.Run(new Dictionary<string, OrtTensor> { ["count"] = tensor }, "offset")[0];
            return offset.Span<long>()[0];
        }
    }

    private sealed class SilentException : Exception
    {
        public override string Message => throw new InvalidOperationException();
    }

    /// <summary>y = x + 1 for a scalar x.</summary>
    private sealed class CountingOp(List<WeakReference> kernels) : CustomOp
    {
        public override string Name => "Counting";

        public override IReadOnlyList<OpParameter> Inputs { get; } = [new("x", OnnxElementType.Int64)];

        public override IReadOnlyList<OpParameter> Outputs { get; } = [new("y", OnnxElementType.Int64)];

        public override CustomOpKernel CreateKernel(in KernelInfo info)
        {
            Kernel kernel = new();
            kernels.Add(new WeakReference(kernel));
            return kernel;
        }

        public override void InferShapes(in ShapeInferenceContext context) => context.SetOutput(0, OnnxElementType.Int64);

        private sealed unsafe class Kernel : CustomOpKernel
        {
            public override void Compute(in KernelContext context)
            {
                Assert.True(context.TryGetInput(0, out TensorArgument x));
                *(long*)context.Output(0, x.Shape) = *(long*)x.Data + 1;
            }
        }
    }

    /// <summary>Takes scratch memory for count elements of 8 bytes, writes all of it and says how far from alignment it starts.</summary>
    private sealed class ScratchOp : CustomOp
    {
        public override string Name => "Scratch";

        public override IReadOnlyList<OpParameter> Inputs { get; } = [new("count", OnnxElementType.Int64)];

        public override IReadOnlyList<OpParameter> Outputs { get; } = [new("offset", OnnxElementType.Int64)];

        public override CustomOpKernel CreateKernel(in KernelInfo info) => new Kernel();

        public override void InferShapes(in ShapeInferenceContext context) => context.SetOutput(0, OnnxElementType.Int64, 1);

        private sealed unsafe class Kernel : CustomOpKernel
        {
            public override void Compute(in KernelContext context)
            {
                Assert.True(context.TryGetInput(0, out TensorArgument count));
                using ScratchBuffer scratch = context.Scratch(*(long*)count.Data, sizeof(long));
                Assert.Equal(*(long*)count.Data * sizeof(long), scratch.Length);
                new Span<byte>(scratch.Data, (int)scratch.Length).Fill(0xff);
                *(long*)context.Output(0, 1) = (nint)scratch.Data % ScratchBuffer.Alignment;
            }
        }
    }
}
