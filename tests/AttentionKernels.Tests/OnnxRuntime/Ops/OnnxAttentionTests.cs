using AttentionKernels.OnnxRuntime.Interop;
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
    /// among them. It refuses masks that are too short, of rank 1 or the same for all rows, and does not know windows; its logits at stage 2
    /// have the lowest number for -inf.
    /// </summary>
    [Fact]
    public void Built_In_Kernel_Agrees() => Properties.ForAll(OnnxAttentionSpec.Arbitrary, 120, spec =>
    {
        using OnnxAttentionCase c = new(spec, nameof(Built_In_Kernel_Agrees));
        using OpNode node = c.Node(), builtIn = c.Node(ours: false);
        Dictionary<string, float[]> ours = node.Run(), theirs = builtIn.Run();
        foreach (string output in ours.Keys)
        {
            if (output is "present_key" or "present_value")
            {
                Assert.True(ours[output].AsSpan().SequenceEqual(theirs[output]), $"{output}; {c.Repro}");
                continue;
            }
            Tolerance.Check(output, ours[output], [.. theirs[output].Select(x => (double)x)], order => c.Plain(output, order), spec.Type, c.Repro, sides: 2);
        }
    }, salt: 501, restrict: spec => spec with
    {
        Type = ElementType.Float32,
        MaskRank = Math.Max(2, spec.MaskRank),
        MaskPerRow = true,
        MaskLacks = 0,
        Left = -1,
        Right = -1,
        Mode = spec.Mode == 2 ? 3 : spec.Mode,
        // It refuses a past without a present.
        Present = spec.Present || spec.Past > 0,
        Poison = false,
    });
}
