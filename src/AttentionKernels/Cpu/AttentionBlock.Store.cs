namespace AttentionKernels.Cpu;

/// <content>Finishing a block.</content>
internal static unsafe partial class AttentionBlock<V>
{
    /// <summary>Adds each head's sink to the rest class of the rows that see any key.</summary>
    private static void AddSink(AttentionCall* call, int lanes, int valueSize, bool split, in BlockMemory memory)
    {
        if (call->Problem.HeadSink == null)
        {
            return;
        }
        for (int lane = 0; lane < lanes; lane++)
        {
            float sink = call->Problem.HeadSink[memory.Head[lane]], max = memory.Max[lane];
            bool sees = max != float.NegativeInfinity || (split && memory.MaxAligned[lane] != float.NegativeInfinity);
            if (!sees || sink == float.NegativeInfinity)
            {
                continue;
            }
            float joint = MathF.Max(max, sink);
            float correction = MathF.Exp(max - joint);
            memory.Max[lane] = joint;
            memory.Sum[lane] = (memory.Sum[lane] * correction) + MathF.Exp(sink - joint);
            for (int d = 0; d < valueSize; d++)
            {
                memory.Output[(d * Pitch) + lane] *= correction;
            }
            if (memory.Spoken[lane] >= 0)
            {
                memory.SumBoxed[lane] *= correction;
                if (split)
                {
                    continue; // sums over aligned keys have their own maximum
                }
                memory.SumAligned[lane] *= correction;
                for (int n = 0; n < call->Bias.SpeakerCount; n++)
                {
                    memory.SpeakerSums[(n * Pitch) + lane] *= correction;
                }
            }
        }
    }

    /// <summary>Writes finished rows to the output, and what <see cref="SocialBiasEpilogue"/> needs of rows of U.</summary>
    private static void StoreRows(AttentionCall* call, int b, int lanes, int valueSize, bool split, in BlockMemory memory)
    {
        for (int lane = 0; lane < lanes; lane++)
        {
            int head = memory.Head[lane], u = memory.Spoken[lane];
            if (u >= 0)
            {
                long at = ((long)head * call->Spoken) + u;
                call->SpokenRows[at] = new SpokenRow
                {
                    MaxAligned = MaxOf(memory.MaxAligned[lane], memory.SumAligned[lane]),
                    SumAligned = memory.SumAligned[lane],
                    MaxRest = MaxOf(memory.Max[lane], memory.Sum[lane]),
                    SumRest = memory.Sum[lane],
                    SumBoxed = memory.SumBoxed[lane],
                    MaxBoxed = memory.MaxBoxed[lane],
                };
                for (int n = 0; n < call->Bias.SpeakerCount; n++)
                {
                    call->SpeakerSums[(at * call->Bias.SpeakerCount) + n] = memory.SpeakerSums[(n * Pitch) + lane];
                }
                if (split)
                {
                    for (int d = 0; d < valueSize; d++)
                    {
                        call->RestOutput[(at * valueSize) + d] = memory.Output[(d * Pitch) + lane];
                        call->AlignedOutput[(at * valueSize) + d] = memory.AlignedOutput[(d * Pitch) + lane];
                    }
                    continue;
                }
            }

            if (valueSize == 0)
            {
                continue;
            }

            // A row that saw no key has sum 0 and output 0; every other sum is at least 1, or NaN.
            float divisor = memory.Sum[lane] == 0 ? 1 : memory.Sum[lane];
            OutputRow row = new(call->Problem.Output, b, head, memory.Row[lane]);
            for (int d = 0; d < valueSize; d++)
            {
                row[d] = memory.Output[(d * Pitch) + lane] / divisor;
            }
        }
    }

    /// <summary>A vector maximum may drop a NaN logit, its sum never does: NaN must not look like a row that saw nothing.</summary>
    private static float MaxOf(float max, float sum) => float.IsNaN(sum) ? float.NaN : max;
}
