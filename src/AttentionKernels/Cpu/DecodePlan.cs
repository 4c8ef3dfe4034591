namespace AttentionKernels.Cpu;

/// <summary>What the chunks of a call with few query rows leave for each other, so that the last one to finish a group of rows can combine them.</summary>
internal unsafe struct DecodePlan
{
    /// <summary>Chunks of keys; 0 when the call goes through <see cref="AttentionBlock{V}"/>.</summary>
    public int Chunks;

    /// <summary>[B * H * S, Chunks] softmax partials; SumAligned is relative to MaxAligned where the head may be active, else to MaxRest.</summary>
    public ClassPartials* Rows;

    /// <summary>[B * H * S, Chunks, ValueHeadSize] sums of p v.</summary>
    public float* Outputs;

    /// <summary>[B * H * S, Chunks, ValueHeadSize] sums of p v over aligned keys; null without roles.</summary>
    public float* AlignedOutputs;

    /// <summary>[B * H * S, Chunks, SpeakerCount] sums by shared speaker, relative as SumAligned.</summary>
    public float* SpeakerSums;

    /// <summary>[blocks] chunks that are not done.</summary>
    public int* Pending;

    /// <summary>Whether a call has few enough rows. A matter of its shape alone, so that a batch gives the bits of its elements and steering those of plain attention.</summary>
    public static bool Fits(in AttentionProblem problem) =>
        problem.QueryLength == 1 || (long)problem.QueryLength * (problem.Heads / problem.KvHeads) <= DecodeMemory.MaxRows;

    /// <summary>Takes the arrays from scratch memory.</summary>
    public static DecodePlan Reserve(ref ScratchCursor scratch, in AttentionProblem problem, in SocialBias bias, bool steered, int blocks)
    {
        int chunks = Math.Max(1, (problem.KeyLength + DecodeMemory.ChunkKeys - 1) / DecodeMemory.ChunkKeys);
        nuint parts = checked((nuint)problem.Batch * (nuint)problem.Heads * (nuint)problem.QueryLength * (nuint)chunks);
        nuint outputs = problem.Value.IsEmpty ? 0 : checked(parts * (nuint)problem.ValueHeadSize * sizeof(float));
        return new DecodePlan
        {
            Chunks = chunks,
            Rows = (ClassPartials*)scratch.Take(parts * (nuint)sizeof(ClassPartials)),
            Outputs = (float*)scratch.Take(outputs),
            AlignedOutputs = (float*)scratch.Take(steered ? outputs : 0),
            SpeakerSums = (float*)scratch.Take(steered ? parts * (nuint)bias.SpeakerCount * sizeof(float) : 0),
            Pending = (int*)scratch.Take((nuint)blocks * sizeof(int)),
        };
    }
}
