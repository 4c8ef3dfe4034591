using static AttentionKernels.Cuda.KernelParameter;

namespace AttentionKernels.Cuda;

/// <summary>What the launcher gives each kernel: the manifest must list exactly these, in any order.</summary>
internal static class KernelSignatures
{
    private static readonly Dictionary<string, KernelParameter[]> Known = new()
    {
        ["DecodeCombine"] =
        [
            PartialStats, PartialOutputs, Output, OutputBatchStride, OutputHeadStride, OutputTokenStride, HeadSink, Heads, QueryLength, HeadSize, Splits,
        ],
    };

    /// <summary>Parameters of a kernel by its stem; null: unknown.</summary>
    public static KernelParameter[]? Of(string kernel) => Known.GetValueOrDefault(kernel);
}
