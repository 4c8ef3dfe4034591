using AttentionKernels.Kernels.Device;
using ILGPU;

namespace AttentionKernels.Kernels;

/// <summary>Sums partials: the skeleton that the decode kernels replace.</summary>
internal static class DecodeCombineKernel
{
    public static void Run<T>(long partial, long output, int splits, long splitStride)
        where T : struct, IElement
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        float sum = 0;
        for (int n = 0; n < splits; n++)
        {
            sum += GlobalMemory.LoadFloat(partial + (n * splitStride * 4) + (i * 4L));
        }
        GlobalMemory.StoreElement<T>(output + ((long)i * T.Bytes), Arithmetic.Exp2(sum));
    }
}
