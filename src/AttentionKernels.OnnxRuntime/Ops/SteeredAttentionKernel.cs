using AttentionKernels.Cuda;
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

    /// <summary>The device; null: the processor.</summary>
    public required CudaNode? Cuda { get; init; }

    public override void Compute(in KernelContext context)
    {
        ElementType type = op.ElementType;
        AttentionProblem problem = Attributes.Problem;
        int newKeys = TokenInputs.ReadSeparate(context, type, values: true, ref problem);
        int batch = problem.Batch, heads = problem.Heads, rows = problem.QueryLength;
        problem.Scale = Attributes.ScaleFor(problem.HeadSize);
        PastTokens past = PastTokens.Read(context, PastKey, type, problem);

        // [2, B] lengths and positions, [H] sinks.
        using ScratchBuffer small = context.Scratch((2L * batch) + heads, sizeof(int));
        SequenceLengths lengths = SequenceLengths.Read(context, SeqlensK, TotalSequenceLength, ref problem, newKeys, past.Rows, (int*)small.Data);
        problem.Bias = BiasInputs.ReadBias(context, AttentionBias, type, problem);
        SocialBias bias = ReadSocialBias(context, batch, rows, lengths.Keys);
        void* output = context.Output(Output, batch, rows, (long)heads * problem.ValueHeadSize);
        problem.Output = TensorView.Bshd(output, type, heads, rows, problem.ValueHeadSize);
        bias.HeadScores = (float*)context.Output(HeadScores, batch, heads);
        bias.Alignment = (float*)context.Output(Alignment, batch, heads, 4);
        if (bias.IsInert && bias.HeadScores == null && bias.Alignment == null)
        {
            bias = default;
        }
        if (Cuda != null)
        {
            Attend(Cuda, context, problem, bias, past, lengths);
            return;
        }

        problem.HeadSink = BiasInputs.ReadSinks(context, HeadSink, type, heads, (float*)small.Data + (2L * batch));
        RowTransform rotation = new() { Rotary = Rotary ? RotaryEmbedding.Read(context, CosCache, type, RotaryInterleaved, problem, newKeys) : default };
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
        AttentionRunner.Run(context, problem, bias, default);
    }

    /// <summary>The same on the device; lengths and roles are on the host.</summary>
    private void Attend(CudaNode cuda, in KernelContext context, in AttentionProblem problem, in SocialBias bias, in PastTokens past, in SequenceLengths lengths)
    {
        CudaCall call = new() { Problem = problem, Bias = bias, HostKeyLengths = problem.KeyLengths, HostQueryOffsets = problem.QueryOffsets };
        call.Problem.KeyLengths = call.Problem.QueryOffsets = null;
        using CudaKeyValueCache cache = new()
        {
            Past = past,
            Lengths = lengths,
            FollowsLengths = true,
            PresentKeyOutput = PresentKey,
            PresentValueOutput = PresentValue,
            Rotary = Rotary ? RotaryInputs.Read(context, CosCache, problem, lengths.NewKeys) : default,
            RotaryInterleaved = RotaryInterleaved,
            HeadSink = BiasInputs.ReadDeviceSinks(context, HeadSink, problem.Heads),
        };
        cache.Prepare(context, cuda, ref call);
        cuda.Run(context, call);
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
