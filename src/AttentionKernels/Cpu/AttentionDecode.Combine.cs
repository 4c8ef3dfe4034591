namespace AttentionKernels.Cpu;

/// <content>The chunks of a row, put together in their order.</content>
internal static unsafe partial class AttentionDecode<V>
{
    /// <summary>Writes a finished row, or what <see cref="SocialBiasEpilogue"/> needs of a row of U.</summary>
    private static void Combine(AttentionCall* call, in Rows rows, int r)
    {
        ref readonly AttentionProblem problem = ref call->Problem;
        int chunks = call->Decode.Chunks, size = problem.Value.IsEmpty ? 0 : problem.ValueHeadSize, head = rows.Head(r);
        int u = call->Spoken == 0 ? -1 : call->Plan.SpokenIndex[((long)rows.Batch * problem.QueryLength) + rows.Row(r)];
        bool split = u >= 0 && call->MayBeActive(rows.Batch, head);
        long first = rows.Index(r) * chunks;
        SpokenRow* parts = call->Decode.Rows + first;

        SpokenRow row = new() { MaxAligned = float.NegativeInfinity, MaxBoxed = float.NegativeInfinity, MaxRest = float.NegativeInfinity };
        for (int c = 0; c < chunks; c++)
        {
            row.MaxRest = MathF.Max(row.MaxRest, parts[c].MaxRest);
            row.MaxAligned = MathF.Max(row.MaxAligned, parts[c].MaxAligned);
            row.MaxBoxed = MathF.Max(row.MaxBoxed, parts[c].MaxBoxed);
        }
        bool sees = row.MaxRest != float.NegativeInfinity || (split && row.MaxAligned != float.NegativeInfinity);
        if (problem.HeadSink != null && sees)
        {
            row.MaxRest = MathF.Max(row.MaxRest, problem.HeadSink[head]);
        }

        // Sums and outputs relative to the common maxima. An output that waits for the epilogue stays in float32 scratch memory.
        long at = u < 0 ? 0 : (((long)head * call->Spoken) + u);
        float* output = split ? call->RestOutput + (at * size) : call->Decode.Outputs + (first * size);
        float* aligned = split ? call->AlignedOutput + (at * size) : null, speakers = u < 0 ? null : call->SpeakerSums + (at * call->Bias.SpeakerCount);
        new Span<float>(speakers, u < 0 ? 0 : call->Bias.SpeakerCount).Clear();
        for (int c = 0; c < chunks; c++)
        {
            float rest = Factor(parts[c].MaxRest, row.MaxRest), alignedFactor = split ? Factor(parts[c].MaxAligned, row.MaxAligned) : rest;
            row.SumRest += parts[c].SumRest * rest;
            row.SumBoxed += parts[c].SumBoxed * rest;
            row.SumAligned += parts[c].SumAligned * alignedFactor;
            for (int n = 0; u >= 0 && n < call->Bias.SpeakerCount; n++)
            {
                speakers[n] += call->Decode.SpeakerSums[((first + c) * call->Bias.SpeakerCount) + n] * alignedFactor;
            }
            if (size > 0)
            {
                AddScaled(call->Decode.Outputs + ((first + c) * size), rest, size, output, c == 0);
            }
            if (size > 0 && split)
            {
                // A chunk without aligned keys has left nothing to read there.
                if (c == 0)
                {
                    new Span<float>(aligned, size).Clear();
                }
                if (parts[c].MaxAligned != float.NegativeInfinity)
                {
                    AddScaled(call->Decode.AlignedOutputs + ((first + c) * size), alignedFactor, size, aligned, false);
                }
            }
        }
        if (problem.HeadSink != null && sees)
        {
            row.SumRest += Factor(problem.HeadSink[head], row.MaxRest);
        }

        if (u >= 0)
        {
            row.MaxRest = float.IsNaN(row.SumRest) ? float.NaN : row.MaxRest;
            row.MaxAligned = float.IsNaN(row.SumAligned) ? float.NaN : row.MaxAligned;
            call->SpokenRows[at] = row;
        }
        if (size == 0 || split)
        {
            return;
        }
        float factor = row.SumRest == 0 ? 1 : 1 / row.SumRest;
        for (int d = 0; d < size; d++)
        {
            output[d] *= factor;
        }
        ElementRows.Narrow(problem.Output.Type, output, problem.Output.Row(rows.Batch, head, rows.Row(r)), size);
    }

    /// <summary>e^(max - common); 0 for a chunk that saw nothing.</summary>
    private static float Factor(float max, float common) => float.IsNegativeInfinity(max) ? 0 : MathF.Exp(max - common);

    /// <summary>target (+)= source * factor. They may be the same memory when it is overwritten.</summary>
    private static void AddScaled(float* source, float factor, int size, float* target, bool overwrite)
    {
        V scale = V.Broadcast(factor);
        int d = 0;
        for (; d + V.Count <= size; d += V.Count)
        {
            V sum = overwrite ? V.Multiply(V.Load(source + d), scale) : V.MultiplyAdd(V.Load(source + d), scale, V.Load(target + d));
            V.Store(sum, target + d);
        }
        for (; d < size; d++)
        {
            target[d] = overwrite ? source[d] * factor : target[d] + (source[d] * factor);
        }
    }
}
