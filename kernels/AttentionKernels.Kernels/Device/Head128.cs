namespace AttentionKernels.Kernels.Device;

/// <summary>D = 128.</summary>
internal readonly struct Head128 : IHead
{
    public static int Size => 128;
}
