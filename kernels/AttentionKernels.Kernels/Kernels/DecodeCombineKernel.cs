using AttentionKernels.Kernels.Device;
using ILGPU;

namespace AttentionKernels.Kernels;

/// <summary>Merges what the splits of <see cref="DecodeKernel"/> left of each row, in their order, and writes the row.</summary>
/// <remarks>
/// One block for each row (b, h, s), grid.x = B * H * S; a thread has the elements d = thread, thread + 128, ...
/// <code>
/// in   partialStats   [B, H, S, splits, 2] float32    maximum (logit times log2(e)) and sum of exponentials; sum 0: the split saw no key
///      partialOutputs [B, H, S, splits, D] float32    not normalised; not read where the sum is 0
///      headSink       [H] float32, natural logit      0: none
/// out  output         [B, H, S, D] of T by strides    0 where no split saw a key
/// </code>
/// </remarks>
internal static class DecodeCombineKernel
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    public static void Run<T>(
        long partialStats, long partialOutputs, long output, long outputBatchStride, long outputHeadStride, long outputTokenStride,
        long headSink, int heads, int queryLength, int headSize, int splits)
        where T : struct, IElement
    {
        int row = Grid.IdxX, s = row % queryLength, h = row / queryLength % heads, b = row / queryLength / heads;
        long stats = partialStats + ((long)row * splits * 8), outputs = partialOutputs + ((long)row * splits * headSize * 4);

        // Every thread goes through all statistics: few, in the cache, and no exchange is needed.
        float max = float.NegativeInfinity;
        for (int n = 0; n < splits; n++)
        {
            max = Arithmetic.Max(max, GlobalMemory.LoadFloat(stats + (n * 8L)));
        }
        float sink = Softmax.Sink(headSink, h);
        max = Arithmetic.Max(max, sink);

        long target = output + (((b * outputBatchStride) + (h * outputHeadStride) + (s * outputTokenStride)) * T.Bytes);
        for (int d = Group.IdxX; d < headSize; d += Threads)
        {
            float total = 0f, sum = 0f;
            for (int n = 0; n < splits; n++)
            {
                float exponentials = GlobalMemory.LoadFloat(stats + (n * 8L) + 4);
                if (exponentials != 0)
                {
                    float weight = Arithmetic.Exp2(GlobalMemory.LoadFloat(stats + (n * 8L)) - max);
                    total = Arithmetic.Fma(exponentials, weight, total);
                    sum = Arithmetic.Fma(GlobalMemory.LoadFloat(outputs + ((((long)n * headSize) + d) * 4)), weight, sum);
                }
            }
            bool sees = total != 0;
            total += sink == float.NegativeInfinity ? 0f : Arithmetic.Exp2(sink - max);
            GlobalMemory.StoreElement<T>(target + ((long)d * T.Bytes), sees ? Arithmetic.Divide(sum, total) : 0f);
        }
    }
}
