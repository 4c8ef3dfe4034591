namespace AttentionKernels.Kernels.Device;

/// <summary>Some rows are in U.</summary>
internal readonly struct SplitRows : IRowClasses
{
    public static bool AreSplit => true;
}
