using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Tests.OnnxRuntime.Ops;

namespace AttentionKernels.Tests.OnnxRuntime;

/// <summary>Registration with somebody else's session options.</summary>
public sealed class AttentionKernelsOpsTests
{
    [Fact]
    public void Options_May_Serve_Sessions_After_Registration()
    {
        using OrtSessionOptions byHandle = new();
        AttentionKernelsOps.Register(byHandle);
        using OrtSessionOptions byPointer = new();
        AttentionKernelsOps.Register(byPointer.DangerousGetHandle());
        Interop.OneNodeModel model = new()
        {
            Domain = "",
            Op = "Identity",
            NodeInputs = ["x"],
            NodeOutputs = ["y"],
            GraphInputs = [("x", OnnxElementType.Int32, [1L])],
            GraphOutputs = [("y", OnnxElementType.Int32, [1L])],
        };
        using OrtSession first = new(model.ToBytes(), byHandle);
        using OrtSession second = new(model.ToBytes(), byHandle);
        using OrtSession third = new(model.ToBytes(), byPointer);
        Assert.Single(third.Outputs);
    }

    public static TheoryData<AttentionOverrides> Choices => [.. Enumerable.Range(0, 8).Select(i => (AttentionOverrides)i)];

    /// <summary>
    /// Each of the three operators, on a node that ONNX Runtime's own kernel refuses: a head of 4, packed tensors, bfloat16. It runs exactly where it is chosen, and
    /// the other operators of the domains run always.
    /// </summary>
    [Theory]
    [MemberData(nameof(Choices))]
    public void Each_Choice_Replaces_Its_Operators_And_No_Other(AttentionOverrides overrides)
    {
        Dictionary<string, object> heads = new() { ["num_heads"] = 1L };
        OpNode groupQuery = new() { Op = "GroupQueryAttention", Domain = "com.microsoft", Outputs = ["y", "k", "v"], Attributes = new() { ["num_heads"] = 1L, ["kv_num_heads"] = 1L } };
        groupQuery.Add(new float[4], 1, 1, 4).Add(new float[4], 1, 1, 4).Add(new float[4], 1, 1, 4).Skip(2).Add<int>([0], 1).Add<int>([1], 1);
        OpNode multiHead = new() { Op = "MultiHeadAttention", Domain = "com.microsoft", Outputs = ["y"], Attributes = heads };
        multiHead.Add(new float[12], 1, 1, 1, 3, 4);
        OpNode onnx = new() { Op = "Attention", Domain = "", Opset = 23, OutputType = OnnxElementType.BFloat16, Outputs = ["y"] };
        onnx.Add(ElementType.BFloat16, new float[4], 1, 1, 1, 4).Add(ElementType.BFloat16, new float[4], 1, 1, 1, 4).Add(ElementType.BFloat16, new float[4], 1, 1, 1, 4);
        OpNode gelu = new() { Op = "Gelu", Domain = "com.microsoft", Outputs = ["y"] }, relu = new() { Op = "Relu", Domain = "", Outputs = ["y"] };
        foreach ((OpNode node, bool runs) in (((OpNode, bool)[])
            [
                (groupQuery, overrides.HasFlag(AttentionOverrides.GroupQueryAttention)), (multiHead, overrides.HasFlag(AttentionOverrides.MultiHeadAttention)),
                (onnx, overrides.HasFlag(AttentionOverrides.OnnxAttention)), (gelu.Add(new float[2], 2), true), (relu.Add(new float[2], 2), true),
            ]))
        {
            using (node)
            {
                node.Overrides = overrides;
                Exception? e = Record.Exception(() => node.Run());
                Assert.True(runs ? e == null : e is OrtException, $"{node.Op} {(runs ? "does not run" : "runs")} with {overrides}: {e?.Message}");
            }
        }
    }

    [Fact]
    public void Unknown_Choices_Are_Refused()
    {
        using OrtSessionOptions options = new();
        ArgumentOutOfRangeException e = Assert.Throws<ArgumentOutOfRangeException>(() => AttentionKernelsOps.Register(options, (AttentionOverrides)9));
        Assert.Contains("All", e.Message, StringComparison.Ordinal);
        AttentionKernelsOps.Register(options, AttentionOverrides.All); // nothing was registered
    }

    [Fact]
    public void Registering_Twice_Is_Refused()
    {
        using OrtSessionOptions options = new();
        AttentionKernelsOps.Register(options);
        InvalidOperationException e = Assert.Throws<InvalidOperationException>(() => AttentionKernelsOps.Register(options));
        Assert.Contains("already", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Null_Closed_And_Zero_Options_Are_Refused()
    {
        OrtSessionOptions closed = new();
        closed.Dispose();
        Assert.Throws<ArgumentNullException>(() => AttentionKernelsOps.Register(null!));
        Assert.Throws<ArgumentException>(() => AttentionKernelsOps.Register(closed));
        Assert.Throws<ArgumentException>(() => AttentionKernelsOps.Register(IntPtr.Zero));
    }
}
