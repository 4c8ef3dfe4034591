namespace AttentionKernels.Cpu;

/// <summary>One call of <see cref="AttentionLogits"/>, as its worker threads see it. Lives on the caller's stack.</summary>
internal struct AttentionLogitsCall
{
    /// <summary>Without what <see cref="Stage"/> leaves out.</summary>
    public AttentionProblem Problem;

    public LogitStage Stage;

    /// <summary>What a key that a row does not see gets before the softmax.</summary>
    public float Hidden;

    /// <summary>[B, H, S, T].</summary>
    public TensorView Matrix;

    /// <summary>Query rows of a block.</summary>
    public int RowsPerBlock;

    /// <summary>Query heads of a block; more than one only where a group shares its key head and has few rows.</summary>
    public int HeadsPerBlock;

    /// <summary>Blocks along the query rows.</summary>
    public readonly int RowBlocks => (Problem.QueryLength + RowsPerBlock - 1) / RowsPerBlock;

    /// <summary>Blocks along the heads of one group.</summary>
    public readonly int HeadBlocks => ((Problem.Heads / Problem.KvHeads) + HeadsPerBlock - 1) / HeadsPerBlock;
}
