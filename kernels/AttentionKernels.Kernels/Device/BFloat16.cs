namespace AttentionKernels.Kernels.Device;

/// <summary>Elements are bfloat16.</summary>
internal readonly struct BFloat16 : IElement
{
    public static int Bytes => 2;

    public static bool IsBFloat16 => true;
}
