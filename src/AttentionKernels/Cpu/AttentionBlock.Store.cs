using System.Numerics;
using System.Runtime.CompilerServices;
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

    /// <summary>Writes the rows to the output, those of U with the bias, and what <see cref="SocialBiasEpilogue"/> needs of these.</summary>
    [SkipLocalsInit]
    private static void StoreRows(AttentionCall* call, int b, int valueSize, in BlockMemory memory)
    {
        SocialBiasFactors factors;
        if (memory.HasSpoken)
        {
            SpokenLanes lanes = new()
            {
                MaxRest = memory.Max,
                SumRest = memory.Sum,
                MaxAligned = memory.MaxAligned,
                BaseAligned = memory.BaseAligned,
                SumAligned = memory.SumAligned,
                MaxBoxed = memory.MaxBoxed,
                SumBoxed = memory.SumBoxed,
            };
            factors.Fill(call->Bias, memory.Split, memory.Width, lanes);
            for (ulong set = memory.SpokenLanes; set != 0; set &= set - 1)
            {
                int lane = BitOperations.TrailingZeroCount(set);
                call->StoreSpoken(memory.Head[lane], memory.Spoken[lane], factors, lane, memory.SpeakerSums + lane, Pitch);
            }
        }
        if (valueSize == 0)
        {
            return;
        }
        PrefetchRows(call->Problem.Output, b, valueSize, memory);
        ulong combined = 0;
        for (int lane = 0; memory.Split && lane < memory.Width; lane += LaneGroup)
        {
            ulong spoken = (memory.SpokenLanes >> lane) & GroupMask;
            if (spoken != 0)
            {
                int n = BitOperations.TrailingZeroCount(spoken);
                float* plain = call->PlainOutput == null ? null : call->PlainRow(memory.Head[lane + n], memory.Spoken[lane + n]) - n;
                CombineClasses(lane, valueSize, &factors, plain, memory);
                combined |= GroupMask << lane;
            }
        }
        if (combined != 0)
        {
            V.StoreFence();
        }
        for (int lane = 0; lane < memory.Lanes; lane += LaneTranspose.Rows)
        {
            StoreOutputs(call, b, lane, valueSize, ((combined >> lane) & 1) != 0, memory);
        }
    }

    /// <summary>Makes of a group's two outputs the one with the bias, and leaves that without it in <paramref name="plain"/>.</summary>
    private static void CombineClasses(int lane, int size, SocialBiasFactors* factors, float* plain, in BlockMemory memory)
    {
        V rest = V.Load(factors->Rest + lane), aligned = V.Load(factors->Aligned + lane);
        V biasedRest = V.Load(factors->BiasedRest + lane), biasedAligned = V.Load(factors->BiasedAligned + lane);
        // Nothing is added to a row without aligned keys, not even 0, which would turn -0 into 0.
        V some = V.LessThan(V.Broadcast(float.NegativeInfinity), V.Load(memory.MaxAligned + lane));
        float* output = memory.Output + lane, other = memory.AlignedOutput + lane;
        for (int d = 0; d < size; d++, output += Pitch, other += Pitch)
        {
            V r = V.Load(output), a = V.Load(other), x = V.Multiply(r, biasedRest);
            V.Store(V.Select(some, V.MultiplyAdd(a, biasedAligned, x), x), output);
            if (plain != null)
            {
                x = V.Multiply(r, rest);
                V.StoreStreaming(V.Select(some, V.MultiplyAdd(a, aligned, x), x), plain);
                plain += RolePlan.OrderGroup;
            }
        }
    }

    /// <summary>The outputs of four lanes from <paramref name="lane"/> on.</summary>
    private static void StoreOutputs(AttentionCall* call, int b, int lane, int size, bool finished, in BlockMemory memory)
    {
        const int Rows = LaneTranspose.Rows;
        TensorView output = call->Problem.Output;
        float** rows = stackalloc float*[Rows];
        float* factors = stackalloc float[Rows];
        for (int n = 0; n < Rows; n++)
        {
            float* buffer = memory.Rows + (n * size);
            rows[n] = buffer;
            factors[n] = 1;
            if (lane + n >= memory.Lanes)
            {
                continue;
            }
            // A row that saw no key has sum 0 and output 0; every other sum is at least 1, or NaN.
            factors[n] = finished || memory.Sum[lane + n] == 0 ? 1 : 1 / memory.Sum[lane + n];
            if (output.Type == ElementType.Float32)
            {
                rows[n] = output.Float(b, memory.Head[lane + n], memory.Row[lane + n]);
            }
        }
        LaneTranspose.Store(memory.Output + lane, Vector128.Load(factors), size, rows[0], rows[1], rows[2], rows[3]);
        for (int n = 0; n < Rows && lane + n < memory.Lanes; n++)
        {
            if (rows[n] == memory.Rows + (n * size))
            {
                ElementRows.Narrow(output.Type, rows[n], output.Row(b, memory.Head[lane + n], memory.Row[lane + n]), size);
            }
        }
    }
}
