namespace AttentionKernels.Cuda;

/// <summary>
/// Parameters that kernels have, by the names that the device code gives them (kernels/README.md says what each is). A name means the same and has one type in every
/// kernel: first the 64-bit integers, then the 32-bit ones, then the floats.
/// </summary>
internal enum KernelParameter
{
    // Device addresses; 0: absent.
    Query,
    Key,
    Value,
    Output,
    Bias,
    HeadSink,
    KeyLengths,
    QueryOffsets,
    Blocks,
    SpokenIndex,
    SpokenStart,
    SpokenRow,
    Run,
    Aligned,
    AlignedKeys,
    Boxed,
    BoxedCount,
    Stats,
    Outputs,
    Gates,
    HeadScoresIn,
    HeadScores,
    Alignment,
    PartialStats,
    PartialOutputs,

    // Strides in elements.
    QueryBatchStride,
    QueryHeadStride,
    QueryTokenStride,
    KeyBatchStride,
    KeyHeadStride,
    KeyTokenStride,
    ValueBatchStride,
    ValueHeadStride,
    ValueTokenStride,
    OutputBatchStride,
    OutputHeadStride,
    OutputTokenStride,
    BiasBatchStride,
    BiasHeadStride,
    BiasTokenStride,

    // Counts and switches: the first one is KernelParameters.FirstInt32.
    Heads,
    KvHeads,
    QueryLength,
    KeyLength,
    HeadSize,
    ValueHeadSize,
    RowBlocks,
    Spoken,
    Tiles,
    Splits,
    Window,
    Causal,
    ClampNegative,

    // Numbers: the first one is KernelParameters.FirstFloat32.
    Scale,
    Softcap,
    Lambda,
    Alpha,
}
