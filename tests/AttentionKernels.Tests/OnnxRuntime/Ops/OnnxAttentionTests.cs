using System.Text.RegularExpressions;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Tests.OnnxRuntime.Interop;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>ai.onnx Attention on our kernel, in sessions.</summary>
public sealed class OnnxAttentionTests
{
    /// <summary>250 random nodes: shapes, types, masks, past, lengths, windows, every output.</summary>
    [Fact]
    public void Every_Node_Is_The_Specification() => Properties.ForAll(OnnxAttentionSpec.Arbitrary, 250, spec =>
    {
        using OnnxAttentionCase c = new(spec, nameof(Every_Node_Is_The_Specification));
        using OpNode node = c.Node();
        c.Check(node.Run());
    }, salt: 500);

    /// <summary>
    /// ONNX Runtime's own kernel on the same tensors, where it takes them: 120 nodes, fully masked rows and rows before the first valid key
    /// among them. It refuses masks that are too short, of rank 1 or the same for all rows, does not know windows, and has no causality for a
    /// single row behind a past; its logits at stage 2 have the lowest number for -inf.
    /// </summary>
    [Fact]
    public void Built_In_Kernel_Agrees() => Properties.ForAll(OnnxAttentionSpec.Arbitrary, 120, spec =>
    {
        using OnnxAttentionCase c = new(spec, nameof(Built_In_Kernel_Agrees));
        using OpNode node = c.Node(), builtIn = c.Node(ours: false);
        c.Check(node.Run());
        // Its errors are its own: twice what ours may be.
        c.Check(builtIn.Run(), sides: 2);
    }, salt: 501, restrict: spec => spec with
    {
        Type = ElementType.Float32,
        MaskRank = Math.Max(2, spec.MaskRank),
        MaskPerRow = true,
        MaskLacks = 0,
        // A single row behind a past sees every new key there.
        Causal = spec.Causal && !(spec.Past > 0 && spec.S == 1 && spec.NewKeys > 1),
        Left = -1,
        Right = -1,
        Mode = spec.Mode == 2 ? 3 : spec.Mode,
        // It refuses a past without a present.
        Present = spec.Present || spec.Past > 0,
        Poison = false,
    });

    /// <summary>Types and shapes of the outputs are those of the node, though ONNX Runtime asks the first overload for all of them.</summary>
    [Theory]
    [InlineData(ElementType.Float32)]
    [InlineData(ElementType.Float16)]
    [InlineData(ElementType.BFloat16)]
    public void Shapes_Are_Inferred(ElementType type)
    {
        OnnxElementType t = type.ToOnnx();
        Assert.Equal(
            [$"Y {t} [batch,6,?,24]", $"qk {t} [batch,6,?,9]"],
            Inferred([("Q", t, ["batch", 6L, null, 8L]), ("K", t, ["batch", 2L, 9L, 8L]), ("V", t, ["batch", 2L, 9L, 24L]), ("", t, null), ("", t, null), ("", t, null), ("n", OnnxElementType.Int64, [null])],
                [("Y", t), ("", t), ("", t), ("qk", t)]));
        Assert.Equal(
            [$"Y {t} [2,rows,30]", $"present_key {t} [2,3,7,4]", $"present_value {t} [2,3,7,5]"],
            Inferred([("Q", t, [2L, "rows", 24L]), ("K", t, [2L, 4L, 12L]), ("V", t, [2L, 4L, 15L]), ("mask", OnnxElementType.Bool, [null, 7L]), ("pk", t, [2L, 3L, 3L, 4L]), ("pv", t, [2L, 3L, 3L, 5L])],
                [("Y", t), ("present_key", t), ("present_value", t)], ("q_num_heads", 6L), ("kv_num_heads", 3L)));
    }

    /// <summary>Tensors without elements: no row, no key, no batch element. A row without keys gives 0.</summary>
    [Theory]
    [InlineData(0, 3, 4)]
    [InlineData(2, 0, 4)]
    [InlineData(2, 3, 0)]
    public void Empty_Tensors_Are_Taken(int batch, int rows, int keys)
    {
        using OpNode node = new() { Op = "Attention", Domain = "", Opset = 24, Library = OnnxAttentionNodes.Library, Outputs = ["Y", "present_key", "present_value", "qk"] };
        node.Add(new float[batch * 2 * rows * 8], batch, 2, rows, 8).Add(new float[batch * 2 * keys * 8], batch, 2, keys, 8).Add(new float[batch * 2 * keys * 4], batch, 2, keys, 4);
        Dictionary<string, float[]> results = node.Run();
        Assert.Equal(new float[batch * 2 * rows * 4], results["Y"]);
        Assert.Equal(batch * 2 * rows * keys, results["qk"].Length);
        Assert.Equal(batch * 2 * keys * 8, results["present_key"].Length);
    }

    private static string[] Inferred(
        (string Name, OnnxElementType Type, object?[]? Shape)[] inputs, (string Name, OnnxElementType Type)[] outputs, params (string Name, object Value)[] attributes)
    {
        OneNodeModel model = new()
        {
            Domain = "",
            Op = "Attention",
            Opset = 24,
            Attributes = attributes.ToDictionary(a => a.Name, a => a.Value),
            NodeInputs = [.. inputs.Select(i => i.Name)],
            NodeOutputs = [.. outputs.Select(o => o.Name)],
            GraphInputs = [.. inputs.Where(i => i.Name.Length > 0)],
            GraphOutputs = [.. outputs.Where(o => o.Name.Length > 0).Select(o => (o.Name, o.Type, (object?[]?)null))],
        };
        using OrtSessionOptions options = new() { IntraOpThreads = 1, LogSeverity = OrtLogSeverity.Fatal };
        OnnxAttentionNodes.Library.AddTo(options);
        using OrtSession session = new(model.ToBytes(), options);
        // A dimension that nobody knows has a name of its own.
        return [.. session.Outputs.Select(o => Regex.Replace($"{o.Name} {o.Type}", @"attention_kernels_unknown_\d+", "?"))];
    }
}
