namespace AttentionKernels.Cpu;

/// <summary>Softmax partials of up to 64 rows, an array for each; the arrays hold a multiple of four rows.</summary>
internal unsafe struct SpokenLanes
{
    /// <summary>Rows at most.</summary>
    public const int Max = Gemm.Pitch;

    /// <summary>What the sum over the rest is relative to, and that sum; over all keys when not split. The head sink is part of it.</summary>
    public float* MaxRest, SumRest;

    /// <summary>Largest logit of an aligned key, what the sum over aligned keys is relative to (MaxRest when not split), and that sum.</summary>
    public float* MaxAligned, BaseAligned, SumAligned;

    /// <summary>Largest logit of a key of V_all that is not aligned, and the part of SumRest on those.</summary>
    public float* MaxBoxed, SumBoxed;
}
