using AttentionKernels.Cuda;
using AttentionKernels.OnnxRuntime.Interop;
using static AttentionKernels.OnnxRuntime.Ops.CrossModalHeadScoresOp;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>A node of <see cref="CrossModalHeadScoresOp"/>: checks its inputs, fills the problem, calls the engine.</summary>
internal sealed unsafe class CrossModalHeadScoresKernel(CrossModalHeadScoresOp op) : CustomOpKernel
{
    public required AttentionAttributes Attributes { get; init; }

    public required int Speakers { get; init; }

    /// <summary>The device; null: the processor.</summary>
    public required CudaNode? Cuda { get; init; }

    public override void Compute(in KernelContext context)
    {
        ElementType type = op.ElementType;
        AttentionProblem problem = Attributes.Problem;
        int newKeys = TokenInputs.ReadSeparate(context, type, values: false, ref problem);
        int batch = problem.Batch, heads = problem.Heads, rows = problem.QueryLength;
        problem.Scale = Attributes.ScaleFor(problem.HeadSize);
        PastTokens past = PastTokens.Read(context, PastKey, type, problem);
        using ScratchBuffer small = context.Scratch(2L * batch, sizeof(int));
        SequenceLengths lengths = SequenceLengths.Read(context, SeqlensK, TotalSequenceLength, ref problem, newKeys, past.Rows, (int*)small.Data);

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

        bias.HeadScores = (float*)context.Output(HeadScores, batch, heads);
        bias.SpeakerScores = (float*)context.Output(SpeakerScores, batch, heads, Speakers);
        if (Cuda != null)
        {
            CudaCall call = new() { Problem = problem, Bias = bias, HostKeyLengths = problem.KeyLengths, HostQueryOffsets = problem.QueryOffsets };
            call.Problem.KeyLengths = call.Problem.QueryOffsets = null;
            using CudaKeyValueCache joined = new() { Past = past, Lengths = lengths, FollowsLengths = true };
            joined.Prepare(context, Cuda, ref call);
            Cuda.Run(context, call);
            return;
        }
        using KeyValueCache cache = new() { Past = past, Lengths = lengths, Valid = problem.KeyLengths };
        cache.Prepare(context, ref problem);
        AttentionRunner.Run(context, problem, bias, default);
    }
}
