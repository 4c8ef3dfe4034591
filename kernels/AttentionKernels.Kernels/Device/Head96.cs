namespace AttentionKernels.Kernels.Device;

/// <summary>D = 96.</summary>
internal readonly struct Head96 : IHead
{
    public static int Size => 96;
}
