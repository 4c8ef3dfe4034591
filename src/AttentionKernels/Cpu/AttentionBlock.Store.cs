using System.Runtime.Intrinsics;

namespace AttentionKernels.Cpu;

/// <content>Finishing a block.</content>
internal static unsafe partial class AttentionBlock<V>
{
    /// <summary>Adds each head's sink to the rest class of the rows that see any key.</summary>
    private static void AddSink(AttentionCall* call, int valueSize, in BlockMemory memory)
    {
        if (call->Problem.HeadSink == null)
        {
            return;
        }
        for (int lane = 0; lane < memory.Lanes; lane++)
        {
            float sink = call->Problem.HeadSink[memory.Head[lane]], max = memory.Max[lane];
            bool sees = max != float.NegativeInfinity || (memory.Split && memory.MaxAligned[lane] != float.NegativeInfinity);
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
                if (memory.Split)
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
    private static void StoreRows(AttentionCall* call, int b, int valueSize, in BlockMemory memory)
    {
        for (int lane = 0; lane < memory.Lanes; lane++)
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
            }
        }
        if (valueSize == 0)
        {
            return;
        }
        PrefetchRows(call->Problem.Output, b, valueSize, memory);
        for (int lane = 0; lane < memory.Lanes; lane += LaneTranspose.Rows)
        {
            StoreOutputs(call, b, lane, valueSize, memory);
        }
    }

    /// <summary>The outputs of four lanes from <paramref name="lane"/> on: finished rows, or both accumulators of split rows of U.</summary>
    private static void StoreOutputs(AttentionCall* call, int b, int lane, int size, in BlockMemory memory)
    {
        const int Rows = LaneTranspose.Rows;
        TensorView output = call->Problem.Output;
        float** rest = stackalloc float*[Rows], aligned = stackalloc float*[Rows];
        float* factors = stackalloc float[Rows];
        bool anySplit = false;
        for (int n = 0; n < Rows; n++)
        {
            float* buffer = memory.Rows + (n * size);
            rest[n] = aligned[n] = buffer;
            factors[n] = 1;
            if (lane + n >= memory.Lanes)
            {
                continue;
            }
            if (memory.Split && memory.Spoken[lane + n] >= 0)
            {
                long at = (((long)memory.Head[lane + n] * call->Spoken) + memory.Spoken[lane + n]) * size;
                rest[n] = call->RestOutput + at;
                aligned[n] = call->AlignedOutput + at;
                anySplit = true;
                continue;
            }
            // A row that saw no key has sum 0 and output 0; every other sum is at least 1, or NaN.
            factors[n] = memory.Sum[lane + n] == 0 ? 1 : 1 / memory.Sum[lane + n];
            if (output.Type == ElementType.Float32)
            {
                rest[n] = output.Float(b, memory.Head[lane + n], memory.Row[lane + n]);
            }
        }
        LaneTranspose.Store(memory.Output + lane, Vector128.Load(factors), size, rest[0], rest[1], rest[2], rest[3]);
        for (int n = 0; n < Rows && lane + n < memory.Lanes; n++)
        {
            if (rest[n] == memory.Rows + (n * size))
            {
                ElementRows.Narrow(output.Type, rest[n], output.Row(b, memory.Head[lane + n], memory.Row[lane + n]), size);
            }
        }
        if (anySplit)
        {
            LaneTranspose.Store(memory.AlignedOutput + lane, Vector128.Create(1f), size, aligned[0], aligned[1], aligned[2], aligned[3]);
        }
    }

    /// <summary>A vector maximum may drop a NaN logit, its sum never does: NaN must not look like a row that saw nothing.</summary>
    private static float MaxOf(float max, float sum) => float.IsNaN(sum) ? float.NaN : max;
}
