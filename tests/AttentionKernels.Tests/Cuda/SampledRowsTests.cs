using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>The check of sampled rows, with results of the processor's engine that are right, and then are not.</summary>
public sealed unsafe class SampledRowsTests
{
    private const int First = 60, Count = 30;

    [Fact]
    public void What_Is_Off_In_A_Sampled_Row_In_U_Or_In_A_Score_Is_Found()
    {
        CaseSpec spec = new() { Group = 2, S = 120, T = 120, D = 64, Dv = 64, Type = ElementType.Float16, Causal = true, Roles = RoleMode.Self, Lambda = -1, Seed = 103 };
        using AttentionCase c = new(spec, nameof(What_Is_Off_In_A_Sampled_Row_In_U_Or_In_A_Score_Is_Found));
        SampledRows.KeepSpoken(c, First, Count);
        c.Run();
        Assert.All(c.HeadScores(), score => Assert.InRange(score, 1e-4f, 1));
        Check(c);
        foreach (int row in new[] { 5, First + 3 })
        {
            Half* value = (Half*)c.Problem.Output.Row(0, 1, row);
            Half right = *value;
            *value = right + (Half)0.05f;
            Assert.Contains("output[", Assert.ThrowsAny<Exception>(() => Check(c)).Message, StringComparison.Ordinal);
            *value = right;
        }
        c.Bias.HeadScores[1] *= 1.01f;
        Assert.Contains("head scores[1]", Assert.ThrowsAny<Exception>(() => Check(c)).Message, StringComparison.Ordinal);
    }

    private static void Check(AttentionCase c) => new SampledRows(c).Check([0, 5, 119], First, Count);
}
