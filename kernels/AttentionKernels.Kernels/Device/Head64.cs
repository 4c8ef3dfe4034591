namespace AttentionKernels.Kernels.Device;

/// <summary>D = 64.</summary>
internal readonly struct Head64 : IHead
{
    public static int Size => 64;
}
