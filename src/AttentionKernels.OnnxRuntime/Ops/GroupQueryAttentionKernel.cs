using AttentionKernels.Cpu;
using AttentionKernels.Cuda;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.OnnxRuntime.Steering;
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

    /// <summary>The device; null: the processor.</summary>
    public required CudaNode? Cuda { get; init; }

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

        if (Cuda != null)
        {
            Attend(Cuda, context, ref problem, past, newKeys);
            return;
        }

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

    /// <summary>
    /// The same on the device, where seqlens_k stays: a decode step captured into a CUDA graph follows it. The host knows lengths of a single element, which total_sequence_length tells, and takes
    /// those of a prompt for full: what stands behind a shorter one is padding, and its roles must say so.
    /// </summary>
    private void Attend(CudaNode cuda, in KernelContext context, ref AttentionProblem problem, in PastTokens past, int newKeys)
    {
        int batch = problem.Batch, heads = problem.Heads, rows = problem.QueryLength;
        TensorArgument seqlens = Argument.Required(context, SeqlensK, "seqlens_k");
        if (seqlens.ElementCount != batch || seqlens.Rank is not (1 or 2))
        {
            Argument.CheckShape(seqlens, "seqlens_k", "[B]", batch);
        }
        int keys = SequenceLengths.ReadTotal(context, TotalSequenceLength, newKeys, past.Rows);
        SequenceLengths lengths = new() { Keys = keys, NewKeys = newKeys };
        problem.KeyLength = keys;
        problem.Bias = BiasInputs.ReadBias(context, AttentionBias, op.ElementType, problem);
        if (newKeys != keys && rows != keys && problem.Bias.IsEmpty && SteeringScope.Current == null)
        {
            // As many as there may ever be: how work is split must not depend on a length that grows while a graph stays.
            problem.KeyLength = Math.Max(past.Rows, keys);
        }
        using DeviceBuffer zeros = cuda.Scratch(context, SmoothSoftmax ? (nuint)heads * sizeof(float) : 0);
        problem.HeadSink = (float*)zeros.Data;
        void* output = context.Output(Output, batch, rows, (long)heads * problem.ValueHeadSize);
        problem.Output = TensorView.Bshd(output, op.ElementType, heads, rows, problem.ValueHeadSize);

        CudaCall call = new() { Problem = problem, ClearsHeadSink = SmoothSoftmax };
        using CudaKeyValueCache cache = new()
        {
            Past = past,
            Lengths = lengths,
            SeqlensK = (int*)seqlens.Data,
            PresentKeyOutput = PresentKey,
            PresentValueOutput = PresentValue,
            Rotary = Rotary ? RotaryInputs.Read(context, CosCache, problem, newKeys) : default,
            RotaryInterleaved = RotaryInterleaved,
            HeadSink = SmoothSoftmax ? null : BiasInputs.ReadDeviceSinks(context, HeadSink, heads),
        };
        cache.Prepare(context, cuda, ref call);
        Node.Attend(context, cuda, call);
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
