using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime.Interop;
using static AttentionKernels.OnnxRuntime.Ops.GroupQueryAttentionOp;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>A node of <see cref="GroupQueryAttentionOp"/>: checks its inputs, fills the problem, calls the engine.</summary>
internal sealed unsafe class GroupQueryAttentionKernel(GroupQueryAttentionOp op) : CustomOpKernel
{
    public required OverriddenNode Node { get; init; }

    public required AttentionAttributes Attributes { get; init; }

    public required bool Rotary { get; init; }

    public required bool RotaryInterleaved { get; init; }

    public required bool SmoothSoftmax { get; init; }

    /// <summary>What output_qk holds, if it is listed.</summary>
    public required LogitStage LogitStage { get; init; }

    public override void Compute(in KernelContext context)
    {
        ElementType type = op.ElementType;
        AttentionProblem problem = Attributes.Problem;
        int newKeys = context.TryGetInput(TokenInputs.Key, out _)
            ? TokenInputs.ReadSeparate(context, type, values: true, ref problem)
            : TokenInputs.ReadPacked(context, type, ref problem);
        int batch = problem.Batch, heads = problem.Heads, rows = problem.QueryLength;
        problem.Scale = Attributes.ScaleFor(problem.HeadSize);
        PastTokens past = PastTokens.Read(context, PastKey, type, problem);

        // [2, B] lengths and positions, [H] sinks.
        using ScratchBuffer small = context.Scratch((2L * batch) + heads, sizeof(int));
        SequenceLengths lengths = SequenceLengths.Read(context, SeqlensK, TotalSequenceLength, ref problem, newKeys, past.Rows, (int*)small.Data);
        problem.Bias = BiasInputs.ReadBias(context, AttentionBias, type, problem);
        problem.HeadSink = ReadSinks(context, (float*)small.Data + (2L * batch));
        // ONNX Runtime takes one number from the position_ids of a prompt.
        RowTransform rotation = new()
        {
            Rotary = Rotary ? RotaryEmbedding.Read(context, CosCache, type, RotaryInterleaved, problem, newKeys, counted: lengths.IsPrompt) : default,
        };

        void* output = context.Output(Output, batch, rows, (long)heads * problem.ValueHeadSize);
        problem.Output = TensorView.Bshd(output, type, heads, rows, problem.ValueHeadSize);
        using KeyValueCache cache = new()
        {
            Past = past,
            Lengths = lengths,
            Valid = problem.KeyLengths,
            PresentKeyOutput = PresentKey,
            PresentValueOutput = PresentValue,
            Query = rotation,
            Key = rotation,
        };
        cache.Prepare(context, ref problem);
        Node.Attend(context, problem, new LogitOutput { Data = context.Output(OutputQk, batch, heads, rows, lengths.Keys), Stage = LogitStage });
    }

    private float* ReadSinks(in KernelContext context, float* sinks)
    {
        if (!SmoothSoftmax)
        {
            return BiasInputs.ReadSinks(context, HeadSink, op.ElementType, Attributes.Heads, sinks);
        }
        new Span<float>(sinks, Attributes.Heads).Clear();
        return sinks;
    }
}
