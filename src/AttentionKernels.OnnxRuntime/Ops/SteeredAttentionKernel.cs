using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime.Interop;
using static AttentionKernels.OnnxRuntime.Ops.SteeredAttentionOp;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>A node of <see cref="SteeredAttentionOp"/>: checks its inputs, fills the problem, calls the engine.</summary>
internal sealed unsafe class SteeredAttentionKernel(SteeredAttentionOp op) : CustomOpKernel
{
    public required AttentionAttributes Attributes { get; init; }

    public required bool Rotary { get; init; }

    public required bool RotaryInterleaved { get; init; }

    public required float Alpha { get; init; }

    public required float Lambda { get; init; }

    public required bool ClampNegative { get; init; }

    public required int Speakers { get; init; }

    public override void Compute(in KernelContext context)
    {
        ElementType type = op.ElementType;
        int heads = Attributes.Heads, kvHeads = Attributes.KvHeads;

        TensorArgument query = Argument.Required(context, Query, "query");
        TensorArgument key = Argument.Required(context, Key, "key");
        TensorArgument value = Argument.Required(context, Value, "value");
        Argument.CheckShape(query, "query", "[B, S, num_heads * D]", Argument.Any, Argument.Any, Argument.Any);
        int batch = Argument.Dimension(query, "query", 0), rows = Argument.Dimension(query, "query", 1);
        int size = Argument.HeadSize(query, "query", "num_heads", heads);
        Argument.CheckShape(key, "key", "[B, new keys, kv_num_heads * D]", batch, Argument.Any, (long)kvHeads * size);
        int newKeys = Argument.Dimension(key, "key", 1);
        Argument.CheckShape(value, "value", "[B, new keys, kv_num_heads * Dv]", batch, newKeys, Argument.Any);
        int valueSize = Argument.HeadSize(value, "value", "kv_num_heads", kvHeads);

        bool hasPast = context.TryGetInput(PastKey, out TensorArgument pastKey);
        Argument.CheckPair(hasPast, "past_key", context.TryGetInput(PastValue, out TensorArgument pastValue), "past_value");
        int past = 0;
        if (hasPast)
        {
            Argument.CheckShape(pastKey, "past_key", "[B, kv_num_heads, past, D]", batch, kvHeads, Argument.Any, size);
            past = Argument.Dimension(pastKey, "past_key", 2);
            Argument.CheckShape(pastValue, "past_value", "[B, kv_num_heads, past, Dv], as past_key", batch, kvHeads, past, valueSize);
        }

        // [B] valid keys, [B] query offsets, [H] sinks, [D] a row to rotate in.
        using ScratchBuffer small = context.Scratch((2L * batch) + heads + size, sizeof(int));
        Span<int> keyLengths = new(small.Data, batch), offsets = new((int*)small.Data + batch, batch);
        float* sinks = (float*)small.Data + (2L * batch), row = sinks + heads;
        SequenceLengths lengths = SequenceLengths.Read(context, SeqlensK, TotalSequenceLength, rows, newKeys, past, keyLengths, offsets);
        int room = Math.Max(past, lengths.Keys);

        AttentionProblem problem = new()
        {
            Batch = batch,
            Heads = heads,
            KvHeads = kvHeads,
            QueryLength = rows,
            KeyLength = lengths.Keys,
            HeadSize = size,
            ValueHeadSize = valueSize,
            Query = TensorView.Bshd(query.Data, type, heads, rows, size),
            Key = TensorView.Bshd(key.Data, type, kvHeads, newKeys, size),
            Value = TensorView.Bshd(value.Data, type, kvHeads, newKeys, valueSize),
            Scale = Attributes.Scale != 0 ? Attributes.Scale : 1 / MathF.Sqrt(size),
            Softcap = Attributes.Softcap,
            Window = Attributes.Window,
            Causal = Attributes.Causal,
            KeyLengths = (int*)small.Data,
            QueryOffsets = (int*)small.Data + batch,
            Bias = ReadBias(context, batch, rows, lengths.Keys),
            HeadSink = ReadSinks(context, sinks),
        };
        SocialBias bias = ReadSocialBias(context, batch, rows, lengths.Keys);

        RotaryEmbedding rotary = default;
        if (Rotary)
        {
            if (newKeys != rows)
            {
                throw Argument.Error($"input 'key' has {newKeys} rows, expected {rows}, as many as query, because do_rotary is 1");
            }
            rotary = RotaryEmbedding.Read(context, CosCache, type, RotaryInterleaved, size, offsets, rows);
        }

        void* output = context.Output(Output, batch, rows, (long)heads * valueSize);
        problem.Output = TensorView.Bshd(output, type, heads, rows, valueSize);
        void* presentKey = context.Output(PresentKey, batch, kvHeads, room, size);
        void* presentValue = context.Output(PresentValue, batch, kvHeads, room, valueSize);
        bias.HeadScores = (float*)context.Output(HeadScores, batch, heads);
        bias.Alignment = (float*)context.Output(Alignment, batch, heads, 4);

        // Keys and values are read where they lie, unless they must be put together or rotated first and nobody wants the result.
        bool ownKey = presentKey == null && (hasPast || Rotary), ownValue = presentValue == null && hasPast;
        using ScratchBuffer joined = context.Scratch(
            checked((long)batch * kvHeads * room * ((ownKey ? size : 0) + (ownValue ? valueSize : 0))), type.Size());
        using ScratchBuffer rotated = context.Scratch(Rotary ? checked((long)batch * heads * rows * size) : 0, sizeof(float));
        if (ownKey)
        {
            presentKey = joined.Data;
        }
        if (ownValue)
        {
            presentValue = (byte*)joined.Data + (ownKey ? (long)batch * kvHeads * room * size * (type.Size()) : 0);
        }
        if (presentKey != null)
        {
            KeyValueCache.Append(presentKey, room, pastKey.Data, past, problem.Key, kvHeads, size, lengths, keyLengths, rotary, Rotary, row);
            problem.Key = TensorView.Bhsd(presentKey, type, kvHeads, room, size);
        }
        if (presentValue != null)
        {
            KeyValueCache.Append(presentValue, room, pastValue.Data, past, problem.Value, kvHeads, valueSize, lengths, keyLengths, default, false, row);
            problem.Value = TensorView.Bhsd(presentValue, type, kvHeads, room, valueSize);
        }
        if (Rotary)
        {
            problem.Query = RotateQuery(problem, rotary, offsets, (float*)rotated.Data);
        }

        if (bias.IsInert && bias.HeadScores == null && bias.Alignment == null)
        {
            bias = default;
        }
        OrtWorkers workers = new(context);
        nuint bytes = AttentionCpu.ScratchBytes(problem, bias, workers.Degree);
        using ScratchBuffer scratch = context.Scratch((long)bytes, 1);
        AttentionCpu.Run(problem, bias, workers, scratch.Data, bytes, InstructionSets.Current);
    }

    private static TensorView RotateQuery(in AttentionProblem problem, in RotaryEmbedding rotary, ReadOnlySpan<int> offsets, float* target)
    {
        TensorView rotated = TensorView.Bshd(target, ElementType.Float32, problem.Heads, problem.QueryLength, problem.HeadSize);
        for (int b = 0; b < problem.Batch; b++)
        {
            for (int s = 0; s < problem.QueryLength; s++)
            {
                for (int h = 0; h < problem.Heads; h++)
                {
                    rotary.Rotate(problem.Query, b, h, s, offsets[b], rotated.Float(b, h, s), problem.HeadSize);
                }
            }
        }
        return rotated;
    }

    /// <summary>attention_bias [B or 1, H or 1, S, T].</summary>
    private TensorView ReadBias(in KernelContext context, int batch, int rows, int keys)
    {
        if (!context.TryGetInput(AttentionBias, out TensorArgument bias))
        {
            return default;
        }
        bool perBatch = bias.Rank == 4 && bias.Shape[0] != 1, perHead = bias.Rank == 4 && bias.Shape[1] != 1;
        Argument.CheckShape(bias, "attention_bias", "[B or 1, num_heads or 1, S, T]", perBatch ? batch : 1, perHead ? Attributes.Heads : 1, rows, keys);
        long matrix = (long)rows * keys;
        return new TensorView(bias.Data, op.ElementType, perBatch ? (perHead ? Attributes.Heads : 1) * matrix : 0, perHead ? matrix : 0, keys);
    }

    /// <summary>head_sink [H] as float32.</summary>
    private float* ReadSinks(in KernelContext context, float* sinks)
    {
        if (!context.TryGetInput(HeadSink, out TensorArgument input))
        {
            return null;
        }
        Argument.CheckShape(input, "head_sink", "[num_heads]", Attributes.Heads);
        ElementRows.Widen(op.ElementType, input.Data, sinks, Attributes.Heads);
        return sinks;
    }

    private SocialBias ReadSocialBias(in KernelContext context, int batch, int rows, int keys)
    {
        SocialBias bias = new()
        {
            Keys = RoleInputs.Read(context, TokenModality, op.Inputs, batch, keys, "T = total_sequence_length", Speakers),
            Queries = RoleInputs.Read(context, QueryModality, op.Inputs, batch, rows, "S", Speakers),
            Alpha = Alpha,
            Lambda = Lambda,
            ClampNegative = ClampNegative,
        };
        if (bias.Keys.IsEmpty && !bias.Queries.IsEmpty)
        {
            throw Argument.Error("input 'query_modality' is given without 'token_modality', expected both or only the latter");
        }
        if (context.TryGetInput(HeadScoresIn, out TensorArgument scores))
        {
            Argument.CheckShape(scores, "head_scores_in", "[B, num_heads]", batch, Attributes.Heads);
            bias.HeadScoresIn = (float*)scores.Data;
        }
        return bias;
    }
}
