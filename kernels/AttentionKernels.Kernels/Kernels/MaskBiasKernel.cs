using System.Runtime.CompilerServices;
using AttentionKernels.Kernels.Device;
using ILGPU;
using ILGPU.Runtime.Cuda;

namespace AttentionKernels.Kernels;

/// <summary>A mask as what is added to logits: 0 for keys that it shows, a number for those that it hides, and a dense bias beside.</summary>
/// <remarks>
/// Grid = (B * heads * rows, ceil(keys / 1024)).
/// <code>
/// in   mask  [B, 1, rows, keys] of maskBytes by strides: 1: bool, 0 hides; 4: int32, 0 and less hides
///      bias  [B, heads, rows, keys] of T by strides; 0: none
/// out  sum   [B, heads, rows, keys] of T: the bias, plus filter where the key is hidden
/// </code>
/// </remarks>
internal static class MaskBiasKernel
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    /// <summary>Keys of a block.</summary>
    public const int Keys = 8 * Threads;

    private const float LowestFloat16 = -65504;

    public static void Run<T>(
        long mask, long maskBatchStride, long maskTokenStride, long bias, long biasBatchStride, long biasHeadStride, long biasTokenStride, long sum,
        int maskBytes, int heads, int queryLength, int keyLength, float filter)
        where T : struct, IElement
    {
        int row = Grid.IdxX, i = row % queryLength, h = row / queryLength % heads, b = row / queryLength / heads;
        mask += ((b * maskBatchStride) + (i * maskTokenStride)) * maskBytes;
        bias += bias == 0 ? 0 : ((b * biasBatchStride) + (h * biasHeadStride) + (i * biasTokenStride)) * T.Bytes;
        sum += (long)row * keyLength * T.Bytes;
        int first = Grid.IdxY * Keys, end = IntrinsicMath.Min(first + Keys, keyLength);
        for (int j = first + Group.IdxX; j < end; j += Threads)
        {
            bool shown;
            if (maskBytes == 1)
            {
                shown = LoadByte(mask + j) != 0;
            }
            else
            {
                shown = GlobalMemory.LoadInt(mask + (j * 4L)) > 0;
            }
            float added = shown ? 0f : filter;
            if (bias != 0)
            {
                float value = GlobalMemory.LoadElement<T>(bias + ((long)j * T.Bytes));
                added += value;
                if (T.Bytes == 2 && !T.IsBFloat16 && filter > float.NegativeInfinity & value > float.NegativeInfinity & added < LowestFloat16)
                {
                    added = LowestFloat16; // two numbers hide no key for good: a row whose keys are all hidden is a mean
                }
            }
            GlobalMemory.StoreElement<T>(sum + ((long)j * T.Bytes), added);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int LoadByte(long address)
    {
        CudaAsm.Emit("ld.global.nc.u8 %0, [%1];", out int x, address);
        return x;
    }
}
