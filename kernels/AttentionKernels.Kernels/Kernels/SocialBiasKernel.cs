using AttentionKernels.Kernels.Device;
using ILGPU;

namespace AttentionKernels.Kernels;

/// <summary>The epilogue: finishes rows of U. Merges the two classes, the aligned one raised by the bias where the head is active.</summary>
/// <remarks>
/// One warp for each (row of U, h), grid = (ceil(U / 4), H); a lane has the elements d = lane, lane + 32, ...
/// <code>
/// in   stats       [H, U, 8] float32      see <see cref="SpokenStats"/>
///      outputs     [H, U, 2, D] float32   aligned, rest; not normalised; that of a class which saw no key is not read
///      spokenStart [B + 1] int32          rows of U of each batch element
///      spokenRow   [U] int32              query row
///      gates       [B, H] float32         head active iff above lambda
///      headSink    [H] float32            0: none
/// out  output      [B, H, S, D] of T by strides; only rows of U
/// </code>
/// </remarks>
internal static class SocialBiasKernel
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    /// <summary>Rows of U of a block.</summary>
    public const int Rows = Threads / 32;

    public static void Run<T>(
        long stats, long outputs, long output, long outputBatchStride, long outputHeadStride, long outputTokenStride,
        long spokenStart, long spokenRow, long gates, long headSink,
        float lambda, float alpha, int clampNegative, int heads, int spoken, int valueHeadSize)
        where T : struct, IElement
    {
        int u = (Grid.IdxX * Rows) + (Group.IdxX >> 5), h = Grid.IdxY;
        if (u >= spoken)
        {
            return;
        }
        int b = 0;
        while (GlobalMemory.LoadInt(spokenStart + (b * 4L) + 4) <= u)
        {
            b++;
        }
        long row = ((long)h * spoken) + u;
        float sink = Softmax.Sink(headSink, h);
        bool active = GlobalMemory.LoadFloat(gates + ((((long)b * heads) + h) * 4)) > lambda;
        SpokenStats partials = SpokenStats.Load(stats + (row * SpokenStats.Bytes));
        SpokenWeights weights = SpokenWeights.Of(partials, sink, active ? alpha : 0f, clampNegative);

        long aligned = outputs + (row * valueHeadSize * 8), rest = aligned + (valueHeadSize * 4L);
        int s = GlobalMemory.LoadInt(spokenRow + (u * 4L));
        long target = output + (((b * outputBatchStride) + (h * outputHeadStride) + (s * outputTokenStride)) * T.Bytes);
        for (int d = Group.IdxX & 31; d < valueHeadSize; d += 32)
        {
            float sum = 0f;
            if (partials.SumRest != 0)
            {
                sum = GlobalMemory.LoadFloat(rest + (d * 4L)) * weights.Rest;
            }
            if (partials.SumAligned != 0)
            {
                sum = Arithmetic.Fma(GlobalMemory.LoadFloat(aligned + (d * 4L)), weights.Aligned, sum);
            }
            GlobalMemory.StoreElement<T>(target + ((long)d * T.Bytes), sum);
        }
    }
}
