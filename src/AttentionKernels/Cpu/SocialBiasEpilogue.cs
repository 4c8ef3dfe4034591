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
/// e^b alone is never formed: b may be thousands. Sums run over rows in their order, in double: the same bits at any thread count.
/// </remarks>
internal static unsafe class SocialBiasEpilogue
{
    /// <summary>Finishes task = b * H + h.</summary>
    public static void Run(AttentionCall* call, int task, byte* workerMemory)
    {
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
            float added = active ? RowBias(bias, rows[u]) : 0;
            Classes before = Classes.Of(rows[u], split, 0), after = Classes.Of(rows[u], split, added);
            if (split)
            {
                StoreRow(call, b, h, u, after);
            }
            int keys = call->Plan.AlignedKeys[u];
            if (keys > 0)
            {
                counted++;
                meanBefore += before.Aligned / keys;
                meanAfter += after.Aligned / keys;
                maxBefore += before.LargestAligned;
                maxAfter += after.LargestAligned;
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
            StoreSpeakerScores(call, b, h, first, end);
        }
    }

    /// <summary>b_u = alpha * max over V_all of the row's logits; 0 when it sees none of them.</summary>
    private static float RowBias(in SocialBias bias, in SpokenRow row)
    {
        float max = MathF.Max(row.MaxAligned, row.MaxBoxed);
        if (max == float.NegativeInfinity)
        {
            return 0;
        }
        return bias.Alpha * (bias.ClampNegative ? MathF.Max(0, max) : max);
    }

    private static void StoreRow(AttentionCall* call, int b, int h, int u, in Classes classes)
    {
        int size = call->Problem.ValueHeadSize;
        long at = (((long)h * call->Spoken) + u) * size;
        float* aligned = call->AlignedOutput + at, rest = call->RestOutput + at;
        OutputRow row = new(call->Problem.Output, b, h, call->Plan.SpokenRow[u]);
        for (int d = 0; d < size; d++)
        {
            row[d] = (aligned[d] * classes.AlignedWeight) + (rest[d] * classes.RestWeight);
        }
    }

    private static void StoreSpeakerScores(AttentionCall* call, int b, int h, int first, int end)
    {
        int speakers = call->Bias.SpeakerCount;
        for (int n = 0; n < speakers; n++)
        {
            double sum = 0;
            for (int u = first; u < end; u++)
            {
                sum += call->SpeakerMass[((((long)h * call->Spoken) + u) * speakers) + n];
            }
            long pairs = call->Plan.SpeakerPairs[(b * speakers) + n];
            call->Bias.SpeakerScores[((((long)b * call->Problem.Heads) + h) * speakers) + n] = pairs == 0 ? 0 : (float)(sum / pairs);
        }
    }

    /// <summary>A row's probabilities by class under a bias on its aligned keys.</summary>
    private readonly struct Classes
    {
        /// <summary>Probability of all aligned keys.</summary>
        public float Aligned { get; private init; }

        /// <summary>Largest probability of an aligned key.</summary>
        public float LargestAligned { get; private init; }

        /// <summary>Probability of V_all.</summary>
        public float Visual { get; private init; }

        /// <summary>Factors that turn the two output accumulators into the output row.</summary>
        public float AlignedWeight { get; private init; }

        /// <summary>See <see cref="AlignedWeight"/>.</summary>
        public float RestWeight { get; private init; }

        public static Classes Of(in SpokenRow row, bool split, float bias)
        {
            float max = split ? MathF.Max(row.MaxRest, row.MaxAligned + bias) : row.MaxRest;
            if (max == float.NegativeInfinity)
            {
                return default;
            }
            float rest = MathF.Exp(row.MaxRest - max);
            float aligned = split ? MathF.Exp(row.MaxAligned + bias - max) : rest;
            float total = split ? (row.SumAligned * aligned) + (row.SumRest * rest) : row.SumRest * rest;
            return new Classes
            {
                Aligned = row.SumAligned * aligned / total,
                LargestAligned = MathF.Exp(row.MaxAligned + bias - max) / total,
                Visual = ((row.SumAligned * aligned) + (row.SumBoxed * rest)) / total,
                AlignedWeight = aligned / total,
                RestWeight = rest / total,
            };
        }
    }
}
