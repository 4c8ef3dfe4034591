using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Reference;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

public sealed unsafe class CrossModalHeadScoresTests
{
    /// <summary>Scores of heads and of speakers are the reference's, whatever the shapes, masks, roles and past keys.</summary>
    [Fact]
    public void Node_In_Session_Agrees_With_Reference() => Properties.ForAll(400, spec =>
    {
        using AttentionCase c = new(spec, $"{nameof(CrossModalHeadScoresTests)}.{nameof(Node_In_Session_Agrees_With_Reference)}", asOperator: true, scoresOnly: true);
        c.Bias.SpeakerCount = spec.Speakers;
        c.Bias.Alignment = null;
        using OpNode node = OpCase.CrossModalHeadScores(c);
        Dictionary<string, float[]> results = node.Run();

        AttentionReferenceResult<double> truth = AttentionReference.Run<double>(c.Problem, c.Bias);
        Dictionary<int, AttentionReferenceResult<float>> plain = [];
        Tolerance.Check("head_scores", results["head_scores"], truth.HeadScores, n => Plain(n).HeadScores, ElementType.Float32, c.Repro);
        Tolerance.Check("speaker_scores", results["speaker_scores"], truth.SpeakerScores, n => Plain(n).SpeakerScores, ElementType.Float32, c.Repro);

        AttentionReferenceResult<float> Plain(int order) =>
            plain.TryGetValue(order, out AttentionReferenceResult<float>? known) ? known : plain[order] = AttentionReference.Run<float>(c.Problem, c.Bias, order);
    }, salt: 77, restrict: spec => spec with
    {
        Bias = false,
        Sink = false,
        ScoresIn = false,
        Layout = LayoutMode.RowsFirst,
        Roles = spec.Roles == RoleMode.None ? RoleMode.Self : spec.Roles,
        Past = spec.Past >= spec.T ? spec.T - 1 : spec.Past,
        Speakers = Math.Min(spec.Speakers, 6),
    });

    /// <summary>The operator that steers reports the same scores, bit for bit.</summary>
    [Fact]
    public void Both_Operators_Report_The_Same_Scores() => Properties.ForAll(40, spec =>
    {
        using AttentionCase c = new(spec, nameof(Both_Operators_Report_The_Same_Scores), asOperator: true);
        using OpNode steered = OpCase.SteeredAttention(c);
        steered.Attributes["policy"] = "none";
        c.Bias.SpeakerCount = spec.Speakers;
        using OpNode scores = OpCase.CrossModalHeadScores(c);
        Assert.Equal(steered.Run()["head_scores"], scores.Run()["head_scores"]);
    }, salt: 78, restrict: spec => spec with { Bias = false, Sink = false, ScoresIn = false, Layout = LayoutMode.RowsFirst, Roles = RoleMode.Self, Past = 0, Speakers = 3 });

    [Theory]
    [InlineData("head_scores")]
    [InlineData("head_scores,")]
    public void Speaker_Scores_May_Be_Left_Out(string outputs)
    {
        using OpNode node = SmallNodes.CrossModalHeadScores();
        float[] all = node.Run()["head_scores"];
        node.Outputs = outputs.Split(',');
        Assert.Equal(all, node.Run()["head_scores"]);
    }

    /// <summary>Past 5 and 3 new keys are 8, all valid, unless the node says otherwise.</summary>
    [Fact]
    public void Lengths_Default_To_All_Keys()
    {
        using OpNode node = SmallNodes.CrossModalHeadScores();
        node.Replace<byte>(5, [1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0], 2, 8).Replace<long>(6, [.. Enumerable.Repeat(1L, 16)], 2, 8).Replace<int>(7, [.. Enumerable.Range(0, 32)], 2, 8, 2);
        float[] all = node.Replace<int>(3, [7, 7], 2).Replace<int>(4, [8], 1).Run()["head_scores"];
        Assert.All(all, score => Assert.True(score > 0));
        Assert.Equal(all, node.Replace<int>(3, null).Replace<int>(4, null).Run()["head_scores"]);
    }

    [Fact]
    public void Shapes_Are_Inferred()
    {
        Assert.Equal(
            ["head_scores Float [batch,4]", "speaker_scores Float [batch,4,5]"],
            SmallNodes.InferredShapes(
                "CrossModalHeadScores",
                new() { ["num_heads"] = 4L, ["kv_num_heads"] = 2L, ["num_speakers"] = 5L },
                [("query", OnnxElementType.Float16, ["batch", "rows", 32L]), ("key", OnnxElementType.Float16, ["batch", "keys", 16L])],
                [("head_scores", OnnxElementType.Float), ("speaker_scores", OnnxElementType.Float)]));
    }
}
