using System.Numerics;

namespace AttentionKernels.Reference;

/// <summary>
/// The specification: attention with the social bias, one formula after the other, every matrix written out, nothing optimised.
/// In double it is the truth that engines are measured against; in float it is the plain attention whose error is their budget.
/// </summary>
/// <remarks>Formulas: <see cref="AttentionProblem"/> and <see cref="SocialBias"/>; arXiv 2511.17952.</remarks>
public static class AttentionReference
{
    /// <summary>Orders of operations that <see cref="Run"/> knows.</summary>
    internal const int Orders = 32;

    /// <summary>Computes everything. Results are new arrays: the output and score pointers of the arguments are not written.</summary>
    /// <param name="problem">Shapes and tensors.</param>
    /// <param name="bias">Roles and strength; <c>default</c> is plain attention.</param>
    /// <param name="order">
    /// Other roundings of the same formula, 0..<see cref="Orders"/> - 1: every sum starts order / 2 sixteenths of its terms on, and an odd
    /// order scales the query, not the product.
    /// </param>
    /// <typeparam name="T">Type of every operation.</typeparam>
    /// <exception cref="ArgumentException">A size, option or role is not possible, or does not fit the others.</exception>
    public static unsafe AttentionReferenceResult<T> Run<T>(in AttentionProblem problem, in SocialBias bias, int order = 0)
        where T : IFloatingPointIeee754<T>
    {
        problem.Validate(bias);
        int batch = problem.Batch, heads = problem.Heads, rows = problem.QueryLength;
        var result = new AttentionReferenceResult<T>
        {
            Output = new T[problem.Value.IsEmpty ? 0 : batch * heads * rows * problem.ValueHeadSize],
            HeadScores = new T[batch * heads],
            Active = new bool[batch * heads],
            Alignment = new T[batch * heads * 4],
            SpeakerScores = new T[batch * heads * bias.SpeakerCount],
        };
        for (int b = 0; b < batch; b++)
        {
            bool[,] aligned = Align(problem, bias, b, out bool[] spoken, out bool[] boxed);
            for (int h = 0; h < heads; h++)
            {
                int kvHead = h / (problem.Heads / problem.KvHeads);
                T[][] query = Rows<T>(problem.Query, b, h, rows, problem.HeadSize);
                T[][] key = Rows<T>(problem.Key, b, kvHead, problem.KeyLength, problem.HeadSize);
                var logits = new T[rows][];
                var probabilities = new T[rows][];
                for (int i = 0; i < rows; i++)
                {
                    logits[i] = Logits(problem, b, h, i, query[i], key, order);
                    probabilities[i] = Softmax(problem, h, logits[i], order);
                }

                // The gate, from unbiased probabilities.
                int head = (b * heads) + h;
                T score = MeanOverPairs(probabilities, (i, j) => spoken[i] && boxed[j], order);
                T gate = bias.HeadScoresIn == null ? score : T.CreateChecked(bias.HeadScoresIn[head]);
                bool active = !bias.Keys.IsEmpty && gate > T.CreateChecked(bias.Lambda);
                result.HeadScores[head] = score;
                result.Active[head] = active;

                // The bias, on rows of U in active heads.
                var steered = new T[rows][];
                for (int i = 0; i < rows; i++)
                {
                    steered[i] = probabilities[i];
                    if (active && spoken[i] && bias.Alpha != 0)
                    {
                        T b_u = RowBias(bias, logits[i], boxed);
                        T[] biased = [.. logits[i].Select((s, j) => aligned[i, j] && !T.IsNegativeInfinity(s) ? s + b_u : s)];
                        steered[i] = Softmax(problem, h, biased, order);
                    }
                }

                AlignmentMetrics(probabilities, steered, aligned, result.Alignment.AsSpan(head * 4, 4));
                for (int n = 0; n < bias.SpeakerCount; n++)
                {
                    SocialBias roles = bias;
                    AttentionProblem shape = problem;
                    long speaker = 1L << n;
                    result.SpeakerScores[(head * bias.SpeakerCount) + n] = MeanOverPairs(
                        probabilities, (i, j) => aligned[i, j] && (SharedSpeakers(shape, roles, b, i, j) & speaker) != 0, order);
                }
                if (!problem.Value.IsEmpty)
                {
                    T[][] value = Rows<T>(problem.Value, b, kvHead, problem.KeyLength, problem.ValueHeadSize);
                    for (int i = 0; i < rows; i++)
                    {
                        Span<T> output = result.Output.AsSpan(((head * rows) + i) * problem.ValueHeadSize, problem.ValueHeadSize);
                        WeightedValues(logits[i], steered[i], value, order, output);
                    }
                }
            }
        }
        return result;
    }

    /// <summary>U, V_all, and the pairs of them that share a speaker and overlap in time.</summary>
    private static unsafe bool[,] Align(in AttentionProblem problem, in SocialBias bias, int b, out bool[] spoken, out bool[] boxed)
    {
        bool[,] aligned = new bool[problem.QueryLength, problem.KeyLength];
        spoken = new bool[problem.QueryLength];
        boxed = new bool[problem.KeyLength];
        if (bias.Keys.IsEmpty)
        {
            return aligned;
        }
        for (int j = 0; j < problem.KeysOf(b); j++)
        {
            boxed[j] = bias.Keys.IsBoxedVisual(b, j);
        }
        for (int i = 0; i < problem.QueryLength; i++)
        {
            spoken[i] = bias.TryGetSpokenRow(problem, b, i, out _, out _);
            for (int j = 0; j < problem.KeyLength; j++)
            {
                aligned[i, j] = spoken[i] && boxed[j] && SharedSpeakers(problem, bias, b, i, j) != 0;
            }
        }
        return aligned;
    }

    /// <summary>The speakers that row i of U and key j share, if their frame spans overlap; else 0.</summary>
    private static unsafe long SharedSpeakers(in AttentionProblem problem, in SocialBias bias, int b, int i, int j)
    {
        bias.TryGetSpokenRow(problem, b, i, out TokenRoles rows, out int token);
        long u = ((long)b * rows.Length) + token, v = ((long)b * bias.Keys.Length) + j;
        int first = Math.Max(rows.Frames[2 * u], bias.Keys.Frames[2 * v]);
        int end = Math.Min(rows.Frames[(2 * u) + 1], bias.Keys.Frames[(2 * v) + 1]);
        return first < end ? rows.Speakers[u] & bias.Keys.Speakers[v] : 0;
    }

    /// <summary>Row i's logits: scale, soft-cap, bias, masks.</summary>
    internal static T[] Logits<T>(in AttentionProblem problem, int b, int h, int i, T[] query, T[][] key, int order)
        where T : IFloatingPointIeee754<T>
    {
        int size = problem.HeadSize;
        (int first, int end) = problem.VisibleKeys(b, problem.OffsetOf(b) + i);
        T scale = T.CreateChecked(problem.Scale);
        (T queryScale, T productScale) = order % 2 == 0 ? (T.One, scale) : (scale, T.One);
        var logits = new T[problem.KeyLength];
        for (int j = 0; j < problem.KeyLength; j++)
        {
            if (j < first || j >= end)
            {
                logits[j] = T.NegativeInfinity;
                continue;
            }
            T s = T.Zero;
            for (int n = 0; n < size; n++)
            {
                int d = Rotate(n, size, order);
                s += query[d] * queryScale * key[j][d];
            }
            s *= productScale;
            if (problem.Softcap > 0)
            {
                T cap = T.CreateChecked(problem.Softcap);
                s = cap * T.Tanh(s / cap);
            }
            if (!problem.Bias.IsEmpty)
            {
                T added = T.CreateChecked(problem.Bias.Load(b, h, i, j));
                s = T.IsNegativeInfinity(added) ? added : s + added;
            }
            logits[j] = s;
        }
        return logits;
    }

    /// <summary>Softmax of a row; the sink takes part in the sum and has no value. All 0 when no key is visible.</summary>
    internal static unsafe T[] Softmax<T>(in AttentionProblem problem, int h, T[] logits, int order)
        where T : IFloatingPointIeee754<T>
    {
        var probabilities = new T[logits.Length];
        T max = logits.Aggregate(T.NegativeInfinity, T.Max);
        if (T.IsNegativeInfinity(max))
        {
            return probabilities;
        }
        T sink = problem.HeadSink == null ? T.NegativeInfinity : T.CreateChecked(problem.HeadSink[h]);
        max = T.Max(max, sink);
        for (int j = 0; j < logits.Length; j++)
        {
            probabilities[j] = T.Exp(logits[j] - max);
        }
        T sum = Sum(probabilities, order) + T.Exp(sink - max);
        for (int j = 0; j < logits.Length; j++)
        {
            probabilities[j] /= sum;
        }
        return probabilities;
    }

    /// <summary>b_u = alpha * max of the row's logits over the visible keys of V_all; 0 when there is none.</summary>
    private static T RowBias<T>(in SocialBias bias, T[] logits, bool[] boxed)
        where T : IFloatingPointIeee754<T>
    {
        T max = T.NegativeInfinity;
        for (int j = 0; j < logits.Length; j++)
        {
            if (boxed[j])
            {
                max = T.Max(max, logits[j]);
            }
        }
        if (T.IsNegativeInfinity(max))
        {
            return T.Zero;
        }
        return T.CreateChecked(bias.Alpha) * (bias.ClampNegative ? T.Max(T.Zero, max) : max);
    }

    /// <summary>Averages, over the rows that have aligned keys, the row's mean and maximum on them, before and after.</summary>
    private static void AlignmentMetrics<T>(T[][] before, T[][] after, bool[,] aligned, Span<T> metrics)
        where T : IFloatingPointIeee754<T>
    {
        int count = 0;
        for (int i = 0; i < before.Length; i++)
        {
            int[] keys = [.. Enumerable.Range(0, before[i].Length).Where(j => aligned[i, j])];
            if (keys.Length == 0)
            {
                continue;
            }
            T[] rowBefore = before[i], rowAfter = after[i];
            count++;
            metrics[0] += Sum([.. keys.Select(j => rowBefore[j])], 0) / T.CreateChecked(keys.Length);
            metrics[1] += Sum([.. keys.Select(j => rowAfter[j])], 0) / T.CreateChecked(keys.Length);
            metrics[2] += keys.Select(j => rowBefore[j]).Aggregate(T.Max);
            metrics[3] += keys.Select(j => rowAfter[j]).Aggregate(T.Max);
        }
        for (int n = 0; count > 0 && n < 4; n++)
        {
            metrics[n] /= T.CreateChecked(count);
        }
    }

    /// <summary>An output row: probability-weighted values. A key at -inf is skipped, so that its value may be anything.</summary>
    private static void WeightedValues<T>(T[] logits, T[] probabilities, T[][] value, int order, Span<T> output)
        where T : IFloatingPointIeee754<T>
    {
        for (int n = 0; n < logits.Length; n++)
        {
            int j = Rotate(n, logits.Length, order);
            for (int d = 0; !T.IsNegativeInfinity(logits[j]) && d < output.Length; d++)
            {
                output[d] += probabilities[j] * value[j][d];
            }
        }
    }

    internal static T[][] Rows<T>(in TensorView tensor, int b, int h, int rows, int size)
        where T : IFloatingPointIeee754<T>
    {
        var result = new T[rows][];
        for (int s = 0; s < rows; s++)
        {
            result[s] = new T[size];
            for (int d = 0; d < size; d++)
            {
                result[s][d] = T.CreateChecked(tensor.Load(b, h, s, d));
            }
        }
        return result;
    }

    /// <summary>Mean of the probabilities over a set of (row, key) pairs; 0 when it is empty.</summary>
    private static T MeanOverPairs<T>(T[][] probabilities, Func<int, int, bool> contains, int order)
        where T : IFloatingPointIeee754<T>
    {
        var terms = new List<T>();
        for (int i = 0; i < probabilities.Length; i++)
        {
            for (int j = 0; j < probabilities[i].Length; j++)
            {
                if (contains(i, j))
                {
                    terms.Add(probabilities[i][j]);
                }
            }
        }
        return terms.Count == 0 ? T.Zero : Sum([.. terms], order) / T.CreateChecked(terms.Count);
    }

    private static T Sum<T>(T[] terms, int order)
        where T : IFloatingPointIeee754<T>
    {
        T sum = T.Zero;
        for (int n = 0; n < terms.Length; n++)
        {
            sum += terms[Rotate(n, terms.Length, order)];
        }
        return sum;
    }

    private static int Rotate(int n, int count, int order)
    {
        n += count * (order / 2) / (Orders / 2);
        return n < count ? n : n - count;
    }
}
