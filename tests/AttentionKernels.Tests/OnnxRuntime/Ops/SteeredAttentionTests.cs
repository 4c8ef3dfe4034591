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

    private static CaseSpec AsOperator(CaseSpec spec) => spec with
    {
        // A sink input has the tensors' type: what float16 cannot hold would be another problem.
        Sink = spec.Sink && !spec.Half,
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
                        Assert.True(actual == expected.Load(b, h, s, d), $"present[{b},{h},{s},{d}] is {actual}, expected {expected.Load(b, h, s, d)}; {c.Repro}");
                    }
                }
            }
        }
    }
}
