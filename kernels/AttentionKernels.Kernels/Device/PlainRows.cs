namespace AttentionKernels.Kernels.Device;

/// <summary>No row is in U.</summary>
internal readonly struct PlainRows : IRowClasses
{
    public static bool AreSplit => false;
}
