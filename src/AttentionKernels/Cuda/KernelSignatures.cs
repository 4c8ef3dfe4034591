using static AttentionKernels.Cuda.KernelParameter;

namespace AttentionKernels.Cuda;

/// <summary>What the launcher gives each kernel: the manifest must list exactly these, in any order.</summary>
internal static class KernelSignatures
{
    private static readonly KernelParameter[] OutputTensor = [Output, OutputBatchStride, OutputHeadStride, OutputTokenStride];

    private static readonly Dictionary<string, KernelParameter[]> Known = new()
    {
        ["PrefillPlain"] =
        [
            Query, QueryBatchStride, QueryHeadStride, QueryTokenStride, Key, KeyBatchStride, KeyHeadStride, KeyTokenStride,
            Value, ValueBatchStride, ValueHeadStride, ValueTokenStride, .. OutputTensor, HeadSink, KeyLengths, QueryOffsets, Blocks,
            Heads, KvHeads, QueryLength, KeyLength, RowBlocks, Scale, Causal, Window,
        ],
        ["PrefillClasses"] =
        [
            Query, QueryBatchStride, QueryHeadStride, QueryTokenStride, Key, KeyBatchStride, KeyHeadStride, KeyTokenStride,
            Value, ValueBatchStride, ValueHeadStride, ValueTokenStride, .. OutputTensor, HeadSink, KeyLengths, QueryOffsets, Blocks, SpokenIndex, Run, Aligned, Boxed, Stats, Outputs,
            Heads, KvHeads, QueryLength, KeyLength, RowBlocks, Tiles, Spoken, Scale, Causal, Window,
        ],
        ["PrefillOptions"] =
        [
            Query, QueryBatchStride, QueryHeadStride, QueryTokenStride, Key, KeyBatchStride, KeyHeadStride, KeyTokenStride,
            Value, ValueBatchStride, ValueHeadStride, ValueTokenStride, .. OutputTensor, Bias, BiasBatchStride, BiasHeadStride, BiasTokenStride,
            HeadSink, KeyLengths, QueryOffsets, Blocks, SpokenIndex, Run, Aligned, Boxed, Stats, Outputs,
            Heads, KvHeads, QueryLength, KeyLength, RowBlocks, Tiles, Spoken, Scale, Softcap, Causal, Window,
        ],
        ["ScoresOnly"] =
        [
            Query, QueryBatchStride, QueryHeadStride, QueryTokenStride, Key, KeyBatchStride, KeyHeadStride, KeyTokenStride,
            Bias, BiasBatchStride, BiasHeadStride, BiasTokenStride, KeyLengths, QueryOffsets, Blocks, SpokenIndex, Run, Aligned, Boxed, Stats,
            Heads, KvHeads, QueryLength, KeyLength, RowBlocks, Tiles, Spoken, Scale, Softcap, Causal, Window,
        ],
        ["PrefillSimt"] =
        [
            Query, QueryBatchStride, QueryHeadStride, QueryTokenStride, Key, KeyBatchStride, KeyHeadStride, KeyTokenStride,
            Value, ValueBatchStride, ValueHeadStride, ValueTokenStride, .. OutputTensor, Bias, BiasBatchStride, BiasHeadStride, BiasTokenStride,
            HeadSink, KeyLengths, QueryOffsets, Blocks, SpokenIndex, Run, Aligned, Boxed, Stats, Outputs,
            Heads, KvHeads, QueryLength, KeyLength, HeadSize, ValueHeadSize, RowBlocks, Tiles, Spoken, Scale, Softcap, Causal, Window,
        ],
        ["HeadScores"] =
        [
            Stats, SpokenStart, BoxedCount, Run, AlignedKeys, HeadSink, HeadScoresIn, HeadScores, Alignment, Lambda, Alpha, ClampNegative, Heads, Spoken,
        ],
        ["SpeakerScores"] = [Stats, SpeakerStart, SpeakerRows, SpeakerPairs, HeadSink, SpeakerScores, Spoken],
        ["SocialBias"] =
        [
            Stats, Outputs, .. OutputTensor, SpokenStart, SpokenRow, Gates, HeadSink, Lambda, Alpha, ClampNegative, Heads, Spoken, ValueHeadSize,
        ],
        ["AppendKeyValue"] =
        [
            Query, QueryBatchStride, QueryHeadStride, QueryTokenStride, Key, KeyBatchStride, KeyHeadStride, KeyTokenStride,
            Value, ValueBatchStride, ValueHeadStride, ValueTokenStride, PastKey, PastValue, PresentKey, PresentValue, MovedQuery,
            CosCache, SinCache, PositionIds, QueryBias, KeyBias, ValueBias, NarrowSink, WideSink, KeyLengths, ValidLengths, RowOffsets, Heads, KvHeads, QueryLength, KeyLength, NewKeys, PastLength, PresentLength,
            HeadSize, ValueHeadSize, RotaryPairs, Interleaved, Positions, LengthAdd,
        ],
        ["MaskBias"] =
        [
            Mask, MaskBatchStride, MaskTokenStride, Bias, BiasBatchStride, BiasHeadStride, BiasTokenStride, Sum, MaskBytes, Heads, QueryLength, KeyLength, Filter,
        ],
        ["Decode"] =
        [
            Query, QueryBatchStride, QueryHeadStride, QueryTokenStride, Key, KeyBatchStride, KeyHeadStride, KeyTokenStride,
            Value, ValueBatchStride, ValueHeadStride, ValueTokenStride, Bias, BiasBatchStride, BiasHeadStride, BiasTokenStride,
            KeyLengths, QueryOffsets, PartialStats, PartialOutputs, Heads, KvHeads, QueryLength, KeyLength, Splits, ChunkKeys, Scale, Softcap, Causal, Window,
        ],
        ["DecodeCombine"] = [PartialStats, PartialOutputs, .. OutputTensor, HeadSink, Heads, QueryLength, HeadSize, Splits],
    };

    /// <summary>Parameters of a kernel by its stem; null: unknown.</summary>
    public static KernelParameter[]? Of(string kernel) => Known.GetValueOrDefault(kernel);
}
