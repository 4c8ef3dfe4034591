using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>When a result of a GPU's arithmetic is right.</summary>
internal static unsafe class CudaTolerance
{
    /// <summary>
    /// By the tolerance rule, and for what a GPU rounds beside: probabilities to 16 bits before they meet the values, which moves a mean of values by half a unit in the last place at most; and
    /// logits twice more, when they are multiplied by log2(e) for its exponential and when a bias of their own size is added.
    /// </summary>
    /// <param name="c">The case.</param>
    /// <param name="hasSpeakerScores">Whether scores by speaker were computed, too, where there are no values.</param>
    public static void Check(AttentionCase c, bool hasSpeakerScores = true)
    {
        (double output, double scores) = Extra(c);
        bool compares = hasSpeakerScores && c.Problem.Value.IsEmpty && c.Bias.SpeakerScores != null;
        c.Check(c.Output(), c.HeadScores(), c.Alignment(), compares ? c.SpeakerScores() : null, output, scores);
    }

    /// <summary>What output and scores of a case may be off beside the tolerance rule.</summary>
    public static (double Output, double Scores) Extra(AttentionCase c) =>
        Extra(c, LargestLogit(c), c.Problem.Value.IsEmpty ? 0 : Largest(c.Read(c.Problem.Value, c.Spec.Kv, c.Spec.T, c.Spec.Dv)));

    /// <summary>What an output, and a score, may be off beside the tolerance rule.</summary>
    /// <param name="c">The case.</param>
    /// <param name="largestLogit">No logit is larger.</param>
    /// <param name="largestValue">No value is larger.</param>
    public static (double Output, double Scores) Extra(AttentionCase c, double largestLogit, double largestValue)
    {
        double unit = c.Spec.Type switch { ElementType.Float32 => 0, ElementType.Float16 => Math.ScaleB(1, -11), _ => Math.ScaleB(1, -8) };
        double logits = largestLogit * (1 + Math.Abs(c.Spec.Alpha)) * Math.ScaleB(1, -22);
        return ((unit + logits) * largestValue, logits);
    }

    private static double LargestLogit(AttentionCase c)
    {
        float[] query = c.Read(c.Problem.Query, c.Spec.H, c.Spec.S, c.Spec.D), key = c.Read(c.Problem.Key, c.Spec.Kv, c.Spec.T, c.Spec.D);
        double largest = 0;
        for (int row = 0; row < query.Length; row += c.Spec.D)
        {
            int head = row / (c.Spec.D * c.Spec.S), first = ((head / c.Spec.H * c.Spec.Kv) + (head % c.Spec.H / c.Spec.Group)) * c.Spec.T * c.Spec.D;
            for (int n = first; n < first + (c.Spec.T * c.Spec.D); n += c.Spec.D)
            {
                double dot = 0;
                for (int d = 0; d < c.Spec.D; d++)
                {
                    dot += (double)query[row + d] * key[n + d];
                }
                largest = Math.Abs(dot) > largest ? Math.Abs(dot) : largest;
            }
        }
        return largest * c.Problem.Scale;
    }

    /// <summary>The largest size, NaN aside.</summary>
    public static double Largest(float[] values)
    {
        double largest = 0;
        foreach (float value in values)
        {
            largest = Math.Abs(value) > largest ? Math.Abs(value) : largest;
        }
        return largest;
    }
}
