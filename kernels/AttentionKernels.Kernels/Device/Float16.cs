namespace AttentionKernels.Kernels.Device;

/// <summary>Elements are float16.</summary>
internal readonly struct Float16 : IElement
{
    public static int Bytes => 2;

    public static bool IsBFloat16 => false;
}
