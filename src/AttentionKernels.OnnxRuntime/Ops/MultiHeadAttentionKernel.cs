using AttentionKernels.Cpu;
using AttentionKernels.Cuda;
using AttentionKernels.OnnxRuntime.Interop;
using static AttentionKernels.OnnxRuntime.Ops.MultiHeadAttentionOp;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>A node of <see cref="MultiHeadAttentionOp"/>: checks its inputs, fills the problem, calls the engine.</summary>
internal sealed unsafe class MultiHeadAttentionKernel(MultiHeadAttentionOp op) : CustomOpKernel
{
    public required OverriddenNode Node { get; init; }

    public required int Heads { get; init; }

    /// <summary>0: 1 / sqrt(D).</summary>
    public required float Scale { get; init; }

    public required bool Unidirectional { get; init; }

    /// <summary>What key_padding_mask adds to the logits of a key that it hides.</summary>
    public required float MaskFilter { get; init; }

    /// <summary>The device; null: the processor.</summary>
    public required CudaNode? Cuda { get; init; }

    public override void Compute(in KernelContext context)
    {
        ElementType type = op.ElementType;
        AttentionProblem problem = new() { Heads = Heads, KvHeads = Heads };
        int newKeys = MultiHeadTokens.Read(context, type, ref problem);
        int batch = problem.Batch, rows = problem.QueryLength, size = problem.HeadSize, valueSize = problem.ValueHeadSize;
        problem.Scale = Scale != 0 ? Scale : 1 / MathF.Sqrt(size);
        PastTokens past = PastTokens.Read(context, PastKey, type, problem);
        int pastKeys = ReadPastLength(context, past);
        if ((long)pastKeys + newKeys > AttentionProblem.MaxLength)
        {
            throw Argument.Error($"input 'key' has {newKeys} rows behind {pastKeys} past ones, expected at most {AttentionProblem.MaxLength} keys");
        }
        problem.KeyLength = pastKeys + newKeys;

        // A single row sees every key, also of several new ones: so it does in ONNX Runtime, whose kernels differ about several rows.
        if (Unidirectional && rows > 1 && newKeys != rows)
        {
            throw Argument.Error($"input 'key' has {newKeys} rows, expected {rows}, as many as query, because unidirectional is 1");
        }
        problem.Causal = Unidirectional && rows > 1;
        using ScratchBuffer offsets = context.Scratch(batch, sizeof(int));
        new Span<int>(offsets.Data, batch).Fill(pastKeys);
        problem.QueryOffsets = (int*)offsets.Data;

        if (Cuda != null)
        {
            Attend(Cuda, context, problem, past, newKeys);
            return;
        }

        using KeyPaddingMask mask = KeyPaddingMask.Read(context, PaddingMask, MaskFilter, problem);
        problem.Bias = BiasInputs.ReadBias(context, AttentionBias, type, problem);
        using ScratchBuffer sum = mask.AddTo(context, ref problem);

        (RowTransform query, RowTransform key, RowTransform value) = ReadProjectionBias(context, problem);
        void* output = context.Output(Output, batch, rows, (long)Heads * valueSize);
        problem.Output = TensorView.Bshd(output, type, Heads, rows, valueSize);
        using KeyValueCache cache = new()
        {
            Past = past,
            Lengths = new SequenceLengths { Keys = problem.KeyLength, NewKeys = newKeys },
            PresentKeyOutput = PresentKey,
            PresentValueOutput = PresentValue,
            Query = query,
            Key = key,
            Value = value,
        };
        cache.Prepare(context, ref problem);
        Node.Attend(context, problem, new LogitOutput
        {
            Data = context.Output(Qk, batch, Heads, rows, problem.KeyLength),
            Stage = LogitStage.Masked,
            Hidden = float.MinValue,
        });
    }

    /// <summary>The same on a device. Positions are on the host.</summary>
    private void Attend(CudaNode cuda, in KernelContext context, in AttentionProblem problem, in PastTokens past, int newKeys)
    {
        int batch = problem.Batch, heads = problem.Heads, rows = problem.QueryLength;
        CudaCall call = new() { Problem = problem, HostQueryOffsets = problem.QueryOffsets };
        call.Problem.QueryOffsets = null;
        using ScratchBuffer lengths = context.Scratch(batch, sizeof(int));
        new Span<int>(lengths.Data, batch).Fill(problem.KeyLength);
        call.HostKeyLengths = (int*)lengths.Data;
        call.Problem.Bias = BiasInputs.ReadBias(context, AttentionBias, op.ElementType, problem);
        ReadPaddingMask(context, ref call);
        using DeviceBuffer sum = cuda.Scratch(context, call.Mask.Data == null ? 0 : checked((nuint)call.Mask.Count * (nuint)op.ElementType.Size()));
        SetMasked(sum.Data, ref call);
        (RowTransform query, RowTransform key, RowTransform value) = ReadProjectionBias(context, problem);
        void* output = context.Output(Output, batch, rows, (long)heads * problem.ValueHeadSize);
        call.Problem.Output = TensorView.Bshd(output, op.ElementType, heads, rows, problem.ValueHeadSize);
        using CudaKeyValueCache cache = new()
        {
            Past = past,
            Lengths = new SequenceLengths { Keys = problem.KeyLength, NewKeys = newKeys },
            PresentKeyOutput = PresentKey,
            PresentValueOutput = PresentValue,
            QueryBias = query.Bias,
            KeyBias = key.Bias,
            ValueBias = value.Bias,
        };
        cache.Prepare(context, cuda, ref call);
        Node.Attend(context, cuda, call);
    }

    /// <summary>key_padding_mask: lengths are used as lengths, which hide keys for good; the other forms are added to the bias.</summary>
    private void ReadPaddingMask(in KernelContext context, ref CudaCall call)
    {
        // e^-10000 is 0: a key that such a filter is added to counts nothing, unless logits themselves are thousands.
        const float Hides = -10000;

        ref AttentionProblem problem = ref call.Problem;
        if (!context.TryGetInput(PaddingMask, out TensorArgument mask))
        {
            return;
        }
        KeyPaddingMask.CheckShape(mask, problem);
        if (mask.Rank == 1)
        {
            problem.KeyLengths = MaskFilter <= Hides ? (int*)mask.Data
                : throw CudaNode.Refusal($"attribute 'mask_filter_value' is {MaskFilter}, expected {Hides} or less because input 'key_padding_mask' has lengths,");
            return;
        }
        bool perRow = mask.Rank == 3;
        call.Mask = new CudaMask
        {
            Data = mask.Data,
            ElementBytes = sizeof(int),
            BatchStride = (perRow ? problem.QueryLength : 1) * (long)problem.KeyLength,
            RowStride = perRow ? problem.KeyLength : 0,
            Batch = problem.Batch,
            Heads = problem.Bias.HeadStride == 0 ? 1 : problem.Heads,
            Rows = perRow || !problem.Bias.IsEmpty ? problem.QueryLength : 1,
            Keys = problem.KeyLength,
            // A number, as long as it is one: of a row whose keys are all hidden it must leave something.
            Filter = float.IsNegativeInfinity(MaskFilter) ? MaskFilter : Math.Max(MaskFilter, Lowest(op.ElementType)),
            Bias = problem.Bias,
        };
    }

    /// <summary>Says where the bias that a mask becomes lies.</summary>
    private void SetMasked(void* sum, ref CudaCall call)
    {
        ref readonly CudaMask mask = ref call.Mask;
        if (mask.Data != null)
        {
            long matrix = (long)mask.Rows * mask.Keys;
            call.Problem.Bias = new TensorView(sum, op.ElementType, mask.Heads * matrix, mask.Heads == 1 ? 0 : matrix, mask.Rows == 1 ? 0 : mask.Keys);
        }
    }

    /// <summary>The lowest finite number of a type.</summary>
    private static float Lowest(ElementType type) => type switch
    {
        ElementType.Float16 => (float)Half.MinValue,
        ElementType.BFloat16 => (float)new BFloat16(0xff7f),
        _ => float.MinValue,
    };

    /// <summary>Valid rows of the past: all of them, or past_sequence_length where past and present are one buffer with room to spare.</summary>
    private static int ReadPastLength(in KernelContext context, in PastTokens past)
    {
        if (!past.IsGiven || !context.TryGetInput(PastSequenceLength, out TensorArgument length))
        {
            return past.Rows;
        }
        if (length.ElementCount != 1)
        {
            throw Argument.Error($"input 'past_sequence_length' has {length.ElementCount} elements, expected 1");
        }
        int given = *(int*)length.Data;
        return given >= 0 && given <= past.Rows ? given
            : throw Argument.Error($"input 'past_sequence_length' is {given}, expected 0..{past.Rows}, the rows of 'past_key'");
    }

    /// <summary>bias [H * D + H * D + H * Dv], added to the rows of query, key and value.</summary>
    private (RowTransform Query, RowTransform Key, RowTransform Value) ReadProjectionBias(in KernelContext context, in AttentionProblem problem)
    {
        if (!context.TryGetInput(ProjectionBias, out TensorArgument bias))
        {
            return default;
        }
        long hidden = (long)Heads * problem.HeadSize;
        Argument.CheckShape(bias, "bias", "[num_heads * (D + D + Dv)]", (2 * hidden) + ((long)Heads * problem.ValueHeadSize));
        if (context.TryGetInput(TokenInputs.Key, out TensorArgument key) && key.Rank != 3)
        {
            throw Argument.Error($"input 'bias' is given with a 'key' of {key.Rank} dimensions, expected none");
        }
        byte* data = (byte*)bias.Data;
        long bytes = hidden * op.ElementType.Size();
        return (new RowTransform { Bias = data }, new RowTransform { Bias = data + bytes }, new RowTransform { Bias = data + (2 * bytes) });
    }
}
