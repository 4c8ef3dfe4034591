using System.Numerics;
using AttentionKernels.Cpu;

namespace AttentionKernels.Reference;

/// <summary>The specification of <see cref="AttentionLogits"/>: the matrix of logits or probabilities, one stage of the formula after the other.</summary>
internal static class AttentionLogitsReference
{
    /// <summary>[B, H, S, T] at a stage.</summary>
    /// <param name="problem">Shapes and tensors; Value and Output are not used.</param>
    /// <param name="stage">What the matrix holds.</param>
    /// <param name="hidden">What <see cref="LogitStage.Masked"/> has for keys that a row does not see.</param>
    /// <param name="order">As in <see cref="AttentionReference.Run"/>.</param>
    /// <typeparam name="T">Type of every operation.</typeparam>
    public static unsafe T[] Run<T>(in AttentionProblem problem, LogitStage stage, double hidden, int order = 0)
        where T : IFloatingPointIeee754<T>
    {
        AttentionProblem shown = problem;
        if (stage is LogitStage.Scaled)
        {
            shown.Softcap = 0;
        }
        if (stage is LogitStage.Scaled or LogitStage.Softcapped)
        {
            shown.KeyLengths = null;
            shown.Causal = false;
            shown.Window = 0;
            shown.Bias = default;
        }
        List<T> matrix = [];
        for (int b = 0; b < shown.Batch; b++)
        {
            for (int h = 0; h < shown.Heads; h++)
            {
                T[][] query = AttentionReference.Rows<T>(shown.Query, b, h, shown.QueryLength, shown.HeadSize);
                T[][] key = AttentionReference.Rows<T>(shown.Key, b, h / (shown.Heads / shown.KvHeads), shown.KeyLength, shown.HeadSize);
                for (int i = 0; i < shown.QueryLength; i++)
                {
                    T[] row = AttentionReference.Logits(shown, b, h, i, query[i], key, order);
                    (int first, int end) = shown.VisibleKeys(b, shown.OffsetOf(b) + i);
                    matrix.AddRange(stage == LogitStage.Probability
                        ? AttentionReference.Softmax(shown, h, row, order)
                        : row.Select((s, j) => j >= first && j < end ? s : T.CreateSaturating(hidden)));
                }
            }
        }
        return [.. matrix];
    }
}
