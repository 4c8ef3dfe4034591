namespace AttentionKernels.Kernels.Device;

/// <summary>D = 80.</summary>
internal readonly struct Head80 : IHead
{
    public static int Size => 80;
}
