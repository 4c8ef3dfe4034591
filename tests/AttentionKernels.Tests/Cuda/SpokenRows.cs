using AttentionKernels.Tests.PtxEmulator;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>What follows a kernel that left partials of rows of U: the gate, and the epilogue where there are outputs.</summary>
internal static unsafe class SpokenRows
{
    /// <summary>Runs both kernels, or the gate alone.</summary>
    /// <returns>What they executed.</returns>
    public static (PtxCounts Gate, PtxCounts? Epilogue) Finish(AttentionCase c, KernelCase kernel, long stats, long outputs)
    {
        TestKernels run = kernel.Kernels;
        AttentionProblem p = c.Problem;
        SocialBias bias = c.Bias;
        long scores = run.Share("head scores", bias.HeadScores, p.Batch * p.Heads * 4L, true);
        long scoresIn = run.Share("scores in", bias.HeadScoresIn, p.Batch * p.Heads * 4L, false);
        run.Run(
            "HeadScores", (p.Heads, p.Batch, 1),
            ("stats", stats), ("spokenStart", kernel.SpokenStart), ("boxedCount", kernel.BoxedCount), ("run", kernel.Run), ("alignedKeys", kernel.AlignedKeys),
            ("headSink", kernel.HeadSink), ("headScoresIn", scoresIn), ("headScores", scores),
            ("alignment", run.Share("alignment", bias.Alignment, p.Batch * p.Heads * 16L, true)),
            ("lambda", bias.Lambda), ("alpha", bias.Alpha), ("clampNegative", bias.ClampNegative ? 1 : 0), ("heads", p.Heads), ("spoken", kernel.Spoken));
        PtxCounts gate = run.Counts;
        if (outputs == 0)
        {
            return (gate, null);
        }
        run.Run(
            $"SocialBias_{kernel.ElementName}", ((kernel.Spoken + 3) / 4, p.Heads, 1),
            kernel.With(
                "output",
                ("stats", stats), ("outputs", outputs), ("spokenStart", kernel.SpokenStart), ("spokenRow", kernel.SpokenRow),
                ("gates", scoresIn != 0 ? scoresIn : scores), ("headSink", kernel.HeadSink), ("lambda", bias.Lambda), ("alpha", bias.Alpha),
                ("clampNegative", bias.ClampNegative ? 1 : 0), ("heads", p.Heads), ("spoken", kernel.Spoken), ("valueHeadSize", p.ValueHeadSize)));
        return (gate, run.Counts);
    }
}
