using AttentionKernels.Reference;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>
/// Compares some rows of a case that is too large for the reference with the reference on those rows alone, by the rule for all comparisons. Cases without a dense bias, and with rows of U in one run
/// of rows at most, which is compared as a whole, for the gate needs all of them.
/// </summary>
internal sealed unsafe class SampledRows(AttentionCase c)
{
    /// <param name="rows">Rows of each element and head, none of them in U.</param>
    /// <param name="spokenFirst">First row of the run that holds U.</param>
    /// <param name="spokenCount">Rows of it; 0: there is no U.</param>
    public void Check(int[] rows, int spokenFirst = 0, int spokenCount = 0)
    {
        CaseSpec spec = c.Spec;
        List<Part> parts = [];
        for (int b = 0; b < spec.B; b++)
        {
            for (int h = 0; h < spec.H; h++)
            {
                parts.AddRange(rows.Select(row => new Part(b, h, row, 1)));
                if (spokenCount > 0)
                {
                    parts.Add(new Part(b, h, spokenFirst, spokenCount));
                }
            }
        }
        (double output, double scores) = CudaTolerance.Extra(
            c, LargestRow(c.Read(c.Problem.Query, spec.H, spec.S, spec.D)) * LargestRow(c.Read(c.Problem.Key, spec.Kv, spec.T, spec.D)) * c.Problem.Scale,
            CudaTolerance.Largest(c.Read(c.Problem.Value, spec.Kv, spec.T, spec.Dv)));

        AttentionReferenceResult<double>[] truth = Reference<double>(parts, 0);
        Dictionary<int, AttentionReferenceResult<float>[]> plain = [];
        Tolerance.Check("output", Actual(parts), Join(truth, r => r.Output), order => Join(Plain(order), r => r.Output), spec.Type, c.Repro, extra: output);
        if (spokenCount > 0)
        {
            int[] spoken = [.. Enumerable.Range(0, parts.Count).Where(n => parts[n].Rows == spokenCount)];
            Tolerance.Check(
                "head scores", c.HeadScores(), Join(At(truth), r => r.HeadScores), order => Join(At(Plain(order)), r => r.HeadScores), ElementType.Float32, c.Repro, extra: scores);
            Tolerance.Check(
                "alignment", c.Alignment(), Join(At(truth), r => r.Alignment), order => Join(At(Plain(order)), r => r.Alignment), ElementType.Float32, c.Repro, extra: scores);

            AttentionReferenceResult<T>[] At<T>(AttentionReferenceResult<T>[] all) => [.. spoken.Select(n => all[n])];
        }

        AttentionReferenceResult<float>[] Plain(int order)
        {
            if (!plain.TryGetValue(order, out AttentionReferenceResult<float>[]? results))
            {
                plain[order] = results = Reference<float>(parts, order);
            }
            return results;
        }
    }

    /// <summary>Makes all text outside a run of rows the system's, so that U is in it. There must be some.</summary>
    public static void KeepSpoken(AttentionCase c, int first, int count)
    {
        int spoken = 0;
        for (int t = 0; t < c.Spec.T; t++)
        {
            byte* modality = c.Bias.Keys.Modality + t;
            *modality = t < first || t >= first + count ? (*modality == (byte)Modality.Text ? (byte)Modality.System : *modality) : *modality;
            spoken += c.Bias.Keys.IsSpokenText(0, t) ? 1 : 0;
        }
        Assert.InRange(spoken, 1, count);
    }

    private static T[] Join<T, TResult>(TResult[] results, Func<TResult, T[]> part) => [.. results.SelectMany(part)];

    private AttentionReferenceResult<T>[] Reference<T>(List<Part> parts, int order)
        where T : System.Numerics.IFloatingPointIeee754<T>
    {
        AttentionReferenceResult<T>[] results = new AttentionReferenceResult<T>[parts.Count];
        Parallel.For(0, parts.Count, n =>
        {
            int offset = c.Problem.OffsetOf(parts[n].Element) + parts[n].First;
            (AttentionProblem problem, SocialBias bias) = Slice(parts[n], &offset);
            results[n] = AttentionReference.Run<T>(problem, bias, order);
        });
        return results;
    }

    /// <summary>A run of rows of one head of one element as a problem of its own. Its gate has the score that the engine gave the head.</summary>
    private (AttentionProblem Problem, SocialBias Bias) Slice(Part part, int* offset)
    {
        AttentionProblem all = c.Problem;
        (int b, int h, int first, int rows) = part;
        int kvHead = h / (all.Heads / all.KvHeads);
        AttentionProblem one = all with
        {
            Batch = 1,
            Heads = 1,
            KvHeads = 1,
            QueryLength = rows,
            Query = From(all.Query, b, h, first),
            Key = From(all.Key, b, kvHead, 0),
            Value = From(all.Value, b, kvHead, 0),
            Output = From(all.Output, b, h, first),
            KeyLengths = all.KeyLengths == null ? null : all.KeyLengths + b,
            QueryOffsets = offset,
            HeadSink = all.HeadSink == null ? null : all.HeadSink + h,
        };
        SocialBias bias = c.Bias;
        if (bias.Keys.IsEmpty || rows == 1)
        {
            return (one, default);
        }
        float* scores = bias.HeadScoresIn == null ? bias.HeadScores : bias.HeadScoresIn;
        return (one, bias with
        {
            Keys = From(bias.Keys, (long)b * all.KeyLength, all.KeyLength),
            Queries = From(bias.Keys, ((long)b * all.KeyLength) + *offset, rows),
            HeadScoresIn = scores + (b * all.Heads) + h,
            SpeakerScores = null,
            SpeakerCount = 0,
        });
    }

    private float[] Actual(List<Part> parts)
    {
        List<float> values = [];
        foreach ((int b, int h, int first, int rows) in parts)
        {
            for (int s = first; s < first + rows; s++)
            {
                for (int d = 0; d < c.Spec.Dv; d++)
                {
                    values.Add(c.Problem.Output.Load(b, h, s, d));
                }
            }
        }
        return [.. values];
    }

    private double LargestRow(float[] values)
    {
        double largest = 0;
        for (int first = 0; first < values.Length; first += c.Spec.D)
        {
            double sum = 0;
            for (int d = 0; d < c.Spec.D; d++)
            {
                sum += (double)values[first + d] * values[first + d];
            }
            largest = Math.Max(largest, sum);
        }
        return Math.Sqrt(largest);
    }

    private static TensorView From(TensorView view, int b, int h, int row) => new((byte*)view.Data + (view.Offset(b, h, row) * view.Type.Size()), view.Type, 0, 0, view.RowStride);

    private static TokenRoles From(TokenRoles roles, long first, int length) =>
        new() { Modality = roles.Modality + first, Speakers = roles.Speakers + first, Frames = roles.Frames + (2 * first), Length = length };

    private readonly record struct Part(int Element, int Head, int First, int Rows);
}
