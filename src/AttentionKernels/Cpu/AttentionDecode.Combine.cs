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
        ClassPartials* parts = call->Decode.Rows + first;

        ClassPartials row = new() { MaxAligned = float.NegativeInfinity, MaxBoxed = float.NegativeInfinity, MaxRest = float.NegativeInfinity };
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

        // Sums and outputs relative to the common maxima, in the place of the first chunk's.
        int speakerCount = u < 0 ? 0 : call->Bias.SpeakerCount;
        float* output = call->Decode.Outputs + (first * size), aligned = split ? call->Decode.AlignedOutputs + (first * size) : null;
        float* speakers = call->Decode.SpeakerSums + (first * speakerCount);
        for (int c = 0; c < chunks; c++)
        {
            float rest = Factor(parts[c].MaxRest, row.MaxRest), alignedFactor = split ? Factor(parts[c].MaxAligned, row.MaxAligned) : rest;
            row.SumRest += parts[c].SumRest * rest;
            row.SumBoxed += parts[c].SumBoxed * rest;
            row.SumAligned += parts[c].SumAligned * alignedFactor;
            for (int n = 0; n < speakerCount; n++)
            {
                speakers[n] = (c == 0 ? 0 : speakers[n]) + (speakers[(c * speakerCount) + n] * alignedFactor);
            }
            if (size > 0)
            {
                AddScaled(call->Decode.Outputs + ((first + c) * size), rest, size, output, c == 0);
            }
            if (size > 0 && split)
            {
                // A chunk without aligned keys has left nothing to read there.
                if (parts[c].MaxAligned != float.NegativeInfinity)
                {
                    AddScaled(aligned + ((long)c * size), alignedFactor, size, aligned, c == 0);
                }
                else if (c == 0)
                {
                    new Span<float>(aligned, size).Clear();
                }
            }
        }
        if (problem.HeadSink != null && sees)
        {
            row.SumRest += Factor(problem.HeadSink[head], row.MaxRest);
        }

        float factor = row.SumRest == 0 ? 1 : 1 / row.SumRest;
        if (u >= 0)
        {
            SocialBiasFactors factors = FactorsOf(call->Bias, split, row);
            call->StoreSpoken(head, u, factors, 0, speakers, 1);
            if (size > 0 && split)
            {
                factor = CombineClasses(call->PlainOutput == null ? null : call->PlainRow(head, u), size, factors, row, output, aligned);
            }
        }
        if (size == 0)
        {
            return;
        }
        for (int d = 0; d < size; d++)
        {
            output[d] *= factor;
        }
        ElementRows.Narrow(problem.Output.Type, output, problem.Output.Row(rows.Batch, head, rows.Row(r)), size);
    }

    private static SocialBiasFactors FactorsOf(in SocialBias bias, bool split, in ClassPartials row)
    {
        const int Lanes = 4; // one row, three to fill the vector
        float* values = stackalloc float[7 * Lanes];
        SpokenLanes lanes = new()
        {
            MaxRest = values,
            SumRest = values + Lanes,
            MaxAligned = values + (2 * Lanes),
            BaseAligned = values + (3 * Lanes),
            SumAligned = values + (4 * Lanes),
            MaxBoxed = values + (5 * Lanes),
            SumBoxed = values + (6 * Lanes),
        };
        for (int n = 0; n < Lanes; n++)
        {
            (lanes.MaxRest[n], lanes.SumRest[n], lanes.MaxBoxed[n], lanes.SumBoxed[n]) = (row.MaxRest, row.SumRest, row.MaxBoxed, row.SumBoxed);
            (lanes.MaxAligned[n], lanes.BaseAligned[n], lanes.SumAligned[n]) = (row.MaxAligned, row.MaxAligned, row.SumAligned);
        }
        SocialBiasFactors factors = default;
        factors.Fill(bias, split, Lanes, lanes);
        return factors;
    }

    /// <summary>Leaves in <paramref name="output"/> what the returned factor turns into the row with the bias, and that without it in <paramref name="plain"/>.</summary>
    private static float CombineClasses(float* plain, int size, in SocialBiasFactors factors, in ClassPartials row, float* output, float* aligned)
    {
        bool some = row.MaxAligned != float.NegativeInfinity;
        for (int d = 0; d < size; d++)
        {
            float rest = output[d], added = aligned[d];
            if (plain != null)
            {
                plain[d * RolePlan.OrderGroup] = some ? MathF.FusedMultiplyAdd(added, factors.Aligned[0], rest * factors.Rest[0]) : rest * factors.Rest[0];
            }
            output[d] = some ? MathF.FusedMultiplyAdd(added, factors.BiasedAligned[0], rest * factors.BiasedRest[0]) : rest * factors.BiasedRest[0];
        }
        return 1;
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
