namespace AttentionKernels.Cpu;

/// <summary>
/// After the pass, for one (batch element, head): the score from all rows of U, the gate, and the alignment metrics. The pass has written the rows of U
/// with the bias, which is right for an active head, the case that the scores are looked at for; an inactive one gets its rows without it.
/// </summary>
/// <remarks>Sums are in double and run over rows in their order: the same bits at any thread count.</remarks>
internal static unsafe class SocialBiasEpilogue
{
    /// <summary>Finishes task = b * H + h.</summary>
    public static void Run(void* state, int task, byte* workerMemory)
    {
        var call = (AttentionCall*)state;
        ref readonly SocialBias bias = ref call->Bias;
        int b = task / call->Problem.Heads, h = task % call->Problem.Heads;
        int first = call->Plan.SpokenStart[b], end = call->Plan.SpokenStart[b + 1], boxed = call->Plan.BoxedCount[b];
        SpokenRow* rows = call->SpokenRows + ((long)h * call->Spoken);

        double mass = 0;
        for (int u = first; u < end; u++)
        {
            mass += rows[u].Visual;
        }
        double pairs = (double)(end - first) * boxed;
        float score = pairs == 0 ? 0 : (float)(mass / pairs);
        float gate = bias.HeadScoresIn == null ? score : bias.HeadScoresIn[task];
        bool active = gate > bias.Lambda && !bias.IsInert;
        if (bias.HeadScores != null)
        {
            bias.HeadScores[task] = score;
        }
        for (int u = first; !active && call->PlainOutput != null && u < end; u++)
        {
            StorePlain(call, b, h, u, (float*)workerMemory);
        }
        if (bias.Alignment != null)
        {
            StoreAlignment(call, rows, first, end, active, bias.Alignment + (4 * (long)task));
        }
        for (int n = 0; bias.SpeakerScores != null && n < bias.SpeakerCount; n++)
        {
            bias.SpeakerScores[((long)task * bias.SpeakerCount) + n] = SpeakerScore(call, b, h, n);
        }
    }

    /// <summary>Replaces a row of the output.</summary>
    private static void StorePlain(AttentionCall* call, int b, int h, int u, float* buffer)
    {
        int size = call->Problem.ValueHeadSize;
        TensorView output = call->Problem.Output;
        float* plain = call->PlainRow(h, u);
        for (int d = 0; d < size; d++)
        {
            buffer[d] = plain[d * RolePlan.OrderGroup];
        }
        ElementRows.Narrow(output.Type, buffer, output.Row(b, h, call->Plan.SpokenRow[u]), size);
    }

    /// <summary>Means over the rows that have an aligned key.</summary>
    private static void StoreAlignment(AttentionCall* call, SpokenRow* rows, int first, int end, bool active, float* metrics)
    {
        double meanBefore = 0, meanAfter = 0, maxBefore = 0, maxAfter = 0;
        int counted = 0;
        for (int u = first; u < end; u++)
        {
            int keys = call->Plan.AlignedKeys[call->Plan.Run[u]];
            if (keys > 0)
            {
                counted++;
                meanBefore += rows[u].Aligned / keys;
                meanAfter += (active ? rows[u].BiasedAligned : rows[u].Aligned) / keys;
                maxBefore += rows[u].Largest;
                maxAfter += active ? rows[u].BiasedLargest : rows[u].Largest;
            }
        }
        double count = Math.Max(counted, 1);
        metrics[0] = (float)(meanBefore / count);
        metrics[1] = (float)(meanAfter / count);
        metrics[2] = (float)(maxBefore / count);
        metrics[3] = (float)(maxAfter / count);
    }

    private static float SpeakerScore(AttentionCall* call, int b, int h, int speaker)
    {
        int speakers = call->Bias.SpeakerCount;
        double sum = 0;
        for (int u = call->Plan.SpokenStart[b]; u < call->Plan.SpokenStart[b + 1]; u++)
        {
            // A row without a pair is left out, so that a NaN of its own is none of this speaker's.
            if (((call->Plan.SharedSpeakers[call->Plan.Run[u]] >> speaker) & 1) != 0)
            {
                sum += call->SpeakerSums[((((long)h * call->Spoken) + u) * speakers) + speaker];
            }
        }
        long pairs = call->Plan.SpeakerPairs[((long)b * speakers) + speaker];
        return pairs == 0 ? 0 : (float)(sum / pairs);
    }
}
