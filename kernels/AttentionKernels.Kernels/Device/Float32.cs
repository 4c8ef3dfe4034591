namespace AttentionKernels.Kernels.Device;

/// <summary>Elements are float32.</summary>
internal readonly struct Float32 : IElement
{
    public static int Bytes => 4;

    public static bool IsBFloat16 => false;
}
