using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime.Interop;
using static AttentionKernels.OnnxRuntime.Ops.CrossModalHeadScoresOp;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>A node of <see cref="CrossModalHeadScoresOp"/>: checks its inputs, fills the problem, calls the engine.</summary>
internal sealed unsafe class CrossModalHeadScoresKernel(CrossModalHeadScoresOp op) : CustomOpKernel
{
    public required AttentionAttributes Attributes { get; init; }

    public required int Speakers { get; init; }

    public override void Compute(in KernelContext context)
    {
        ElementType type = op.ElementType;
        int heads = Attributes.Heads, kvHeads = Attributes.KvHeads;

        TensorArgument query = Argument.Required(context, Query, "query");
        TensorArgument key = Argument.Required(context, Key, "key");
        Argument.CheckShape(query, "query", "[B, S, num_heads * D]", Argument.Any, Argument.Any, Argument.Any);
        int batch = Argument.Dimension(query, "query", 0), rows = Argument.Dimension(query, "query", 1);
        int size = Argument.HeadSize(query, "query", "num_heads", heads);
        Argument.CheckShape(key, "key", "[B, new keys, kv_num_heads * D]", batch, Argument.Any, (long)kvHeads * size);
        int newKeys = Argument.Dimension(key, "key", 1), past = 0;
        bool hasPast = context.TryGetInput(PastKey, out TensorArgument pastKey);
        if (hasPast)
        {
            Argument.CheckShape(pastKey, "past_key", "[B, kv_num_heads, past, D]", batch, kvHeads, Argument.Any, size);
            past = Argument.Dimension(pastKey, "past_key", 2);
        }

        using ScratchBuffer small = context.Scratch(2L * batch, sizeof(int));
        Span<int> keyLengths = new(small.Data, batch), offsets = new((int*)small.Data + batch, batch);
        SequenceLengths lengths = SequenceLengths.Read(context, SeqlensK, TotalSequenceLength, rows, newKeys, past, keyLengths, offsets);
        int room = Math.Max(past, lengths.Keys);

        SocialBias bias = new()
        {
            Keys = RoleInputs.Read(context, TokenModality, op.Inputs, batch, lengths.Keys, "T = total_sequence_length", Speakers),
            Queries = RoleInputs.Read(context, QueryModality, op.Inputs, batch, rows, "S", Speakers),
            SpeakerCount = Speakers,
        };
        if (bias.Keys.IsEmpty)
        {
            throw Argument.Error("input 'token_modality' is missing: without roles there is nothing to score");
        }

        using ScratchBuffer joined = context.Scratch(hasPast ? checked((long)batch * kvHeads * room * size) : 0, type.Size());
        TensorView keys = TensorView.Bshd(key.Data, type, kvHeads, newKeys, size);
        if (hasPast)
        {
            KeyValueCache.Append(joined.Data, room, pastKey.Data, past, keys, kvHeads, size, lengths, keyLengths, default, false, null);
            keys = TensorView.Bhsd(joined.Data, type, kvHeads, room, size);
        }

        AttentionProblem problem = new()
        {
            Batch = batch,
            Heads = heads,
            KvHeads = kvHeads,
            QueryLength = rows,
            KeyLength = lengths.Keys,
            HeadSize = size,
            Query = TensorView.Bshd(query.Data, type, heads, rows, size),
            Key = keys,
            Scale = Attributes.Scale != 0 ? Attributes.Scale : 1 / MathF.Sqrt(size),
            Softcap = Attributes.Softcap,
            Window = Attributes.Window,
            Causal = Attributes.Causal,
            KeyLengths = (int*)small.Data,
            QueryOffsets = (int*)small.Data + batch,
        };
        bias.HeadScores = (float*)context.Output(HeadScores, batch, heads);
        bias.SpeakerScores = (float*)context.Output(SpeakerScores, batch, heads, Speakers);

        OrtWorkers workers = new(context);
        nuint bytes = AttentionCpu.ScratchBytes(problem, bias, workers.Degree);
        using ScratchBuffer scratch = context.Scratch((long)bytes, 1);
        AttentionCpu.Run(problem, bias, workers, scratch.Data, bytes, InstructionSets.Current);
    }
}
