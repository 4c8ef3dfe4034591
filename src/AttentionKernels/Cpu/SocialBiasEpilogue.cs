using System.Runtime.Intrinsics;

namespace AttentionKernels.Cpu;

/// <summary>
/// After the pass, for one (batch element, head): the score from all rows of U, the gate, the output rows of U, and the alignment metrics.
/// </summary>
/// <remarks>
/// With class maxima m, sums l and outputs O, rest class r, aligned class a, bias b (0 in an inactive head):
/// <code>
/// M   = max(m_r, m_a + b)
/// t_a = l_a e^(m_a + b - M)          t_r = l_r e^(m_r - M)
/// out = (O_a e^(m_a + b - M) + O_r e^(m_r - M)) / (t_a + t_r)
/// </code>
/// e^b alone is never formed: b may be thousands. All of it is in double, where no alpha * max overflows, and sums run over rows in their
/// order: the same bits at any thread count.
/// </remarks>
internal static unsafe class SocialBiasEpilogue
{
    /// <summary>Finishes task = b * H + h.</summary>
    public static void Run(void* state, int task, byte* workerMemory)
    {
        var call = (AttentionCall*)state;
        ref readonly SocialBias bias = ref call->Bias;
        int b = task / call->Problem.Heads, h = task % call->Problem.Heads;
        int first = call->Plan.SpokenStart[b], end = call->Plan.SpokenStart[b + 1], boxed = call->Plan.BoxedCount[b];
        bool split = call->MayBeActive(b, h);
        SpokenRow* rows = call->SpokenRows + ((long)h * call->Spoken);

        double mass = 0;
        for (int u = first; u < end; u++)
        {
            mass += Classes.Of(rows[u], split, 0).Visual;
        }
        double pairs = (double)(end - first) * boxed;
        float score = pairs == 0 ? 0 : (float)(mass / pairs);
        float gate = bias.HeadScoresIn == null ? score : bias.HeadScoresIn[task];
        bool active = gate > bias.Lambda && !bias.IsInert;
        if (bias.HeadScores != null)
        {
            bias.HeadScores[task] = score;
        }

        double meanBefore = 0, meanAfter = 0, maxBefore = 0, maxAfter = 0;
        int counted = 0;
        for (int u = first; u < end; u++)
        {
            double added = active ? RowBias(bias, rows[u]) : 0;
            Classes after = Classes.Of(rows[u], split, added);
            if (split && !call->Problem.Value.IsEmpty)
            {
                StoreRow(call, b, h, u, rows[u], after);
            }
            int keys = call->Plan.AlignedKeys[u];
            if (keys > 0 && bias.Alignment != null)
            {
                Classes before = Classes.Of(rows[u], split, 0);
                counted++;
                meanBefore += before.Aligned / keys;
                meanAfter += after.Aligned / keys;
                maxBefore += before.LargestAligned(rows[u], 0);
                maxAfter += after.LargestAligned(rows[u], added);
            }
        }
        if (bias.Alignment != null)
        {
            double count = Math.Max(counted, 1);
            float* metrics = bias.Alignment + (4 * (long)task);
            metrics[0] = (float)(meanBefore / count);
            metrics[1] = (float)(meanAfter / count);
            metrics[2] = (float)(maxBefore / count);
            metrics[3] = (float)(maxAfter / count);
        }
        if (bias.SpeakerScores != null)
        {
            StoreSpeakerScores(call, b, h, first, end, split);
        }
    }

    /// <summary>b_u = alpha * max over V_all of the row's logits; 0 when it sees none of them.</summary>
    private static double RowBias(in SocialBias bias, in SpokenRow row)
    {
        float max = MathF.Max(row.MaxAligned, row.MaxBoxed);
        if (max == float.NegativeInfinity)
        {
            return 0;
        }
        return (double)bias.Alpha * (bias.ClampNegative ? MathF.Max(0, max) : max);
    }

    /// <summary>A row that sees no aligned key has the bits of plain attention.</summary>
    private static void StoreRow(AttentionCall* call, int b, int h, int u, in SpokenRow partials, in Classes classes)
    {
        int size = call->Problem.ValueHeadSize;
        long at = (((long)h * call->Spoken) + u) * size;
        float* aligned = call->AlignedOutput + at, rest = call->RestOutput + at;
        TensorView output = call->Problem.Output;
        // Both factors are at most 1 in float32 too, since 1 is the larger of the two before the division by Total.
        bool plain = partials.MaxAligned == float.NegativeInfinity;
        float restFactor = plain ? 1 / (partials.SumRest == 0 ? 1 : partials.SumRest) : (float)(classes.RestFactor / classes.Total);
        float alignedFactor = plain ? 0 : (float)(classes.AlignedFactor / classes.Total);
        float* target = output.Type == ElementType.Float32 ? (float*)output.Row(b, h, call->Plan.SpokenRow[u]) : rest;
        int d = 0;
        for (; !plain && d + Vector128<float>.Count <= size; d += Vector128<float>.Count)
        {
            ((Vector128.Load(rest + d) * restFactor) + (Vector128.Load(aligned + d) * alignedFactor)).Store(target + d);
        }
        for (; d < size; d++)
        {
            target[d] = plain ? rest[d] * restFactor : (rest[d] * restFactor) + (aligned[d] * alignedFactor);
        }
        if (target == rest)
        {
            ElementRows.Narrow(output.Type, rest, output.Row(b, h, call->Plan.SpokenRow[u]), size);
        }
    }

    private static void StoreSpeakerScores(AttentionCall* call, int b, int h, int first, int end, bool split)
    {
        int speakers = call->Bias.SpeakerCount;
        for (int n = 0; n < speakers; n++)
        {
            double sum = 0;
            for (int u = first; u < end; u++)
            {
                if (((call->Plan.SharedSpeakers[u] >> n) & 1) == 0)
                {
                    continue; // the row has no pair, so that a NaN of its own is none of this speaker's
                }
                long at = ((long)h * call->Spoken) + u;
                Classes classes = Classes.Of(call->SpokenRows[at], split, 0);
                sum += call->SpeakerSums[(at * speakers) + n] * classes.AlignedFactor / classes.Total;
            }
            long pairs = call->Plan.SpeakerPairs[((long)b * speakers) + n];
            call->Bias.SpeakerScores[((((long)b * call->Problem.Heads) + h) * speakers) + n] = pairs == 0 ? 0 : (float)(sum / pairs);
        }
    }

    /// <summary>A row's probabilities by class under a bias on its aligned keys.</summary>
    private readonly struct Classes
    {
        /// <summary>Probability of all aligned keys.</summary>
        public double Aligned { get; private init; }

        /// <summary>Probability of V_all.</summary>
        public double Visual { get; private init; }

        /// <summary>Factors of the two output accumulators in the output row, before it is divided by <see cref="Total"/>.</summary>
        public double AlignedFactor { get; private init; }

        /// <summary>See <see cref="AlignedFactor"/>.</summary>
        public double RestFactor { get; private init; }

        /// <summary>Sum of all exponentials; 1 for a row that sees nothing.</summary>
        public double Total { get; private init; }

        /// <summary>What all exponentials are relative to.</summary>
        private double Max { get; init; }

        /// <summary>Largest probability of an aligned key.</summary>
        public double LargestAligned(in SpokenRow row, double bias) => double.IsNegativeInfinity(Max) ? 0 : Math.Exp(row.MaxAligned + bias - Max) / Total;

        public static Classes Of(in SpokenRow row, bool split, double bias)
        {
            double max = split ? Math.Max(row.MaxRest, row.MaxAligned + bias) : row.MaxRest;
            if (double.IsNegativeInfinity(max))
            {
                return new Classes { Total = 1, Max = max };
            }
            double rest = Exp(row.MaxRest - max);
            double aligned = split ? Exp(row.MaxAligned + bias - max) : rest;
            double total = split ? (row.SumAligned * aligned) + (row.SumRest * rest) : row.SumRest * rest;
            return new Classes
            {
                Aligned = row.SumAligned * aligned / total,
                Max = max,
                Visual = ((row.SumAligned * aligned) + (row.SumBoxed * rest)) / total,
                AlignedFactor = aligned,
                RestFactor = rest,
                Total = total,
            };
        }

        /// <summary>e^x; one of the two exponents of a row is always 0.</summary>
        private static double Exp(double x) => x == 0 ? 1 : Math.Exp(x);
    }
}
