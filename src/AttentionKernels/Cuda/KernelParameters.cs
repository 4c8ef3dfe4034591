namespace AttentionKernels.Cuda;

/// <summary>What is known of each <see cref="KernelParameter"/>.</summary>
internal static class KernelParameters
{
    /// <summary>More than there are: sets of them are 128-bit numbers.</summary>
    public const int Most = 96;

    private const KernelParameter FirstInt32 = KernelParameter.Heads, FirstFloat32 = KernelParameter.Scale;

    /// <summary>Type of a parameter.</summary>
    public static KernelParameterType TypeOf(KernelParameter parameter) =>
        parameter < FirstInt32 ? KernelParameterType.Int64 : parameter < FirstFloat32 ? KernelParameterType.Int32 : KernelParameterType.Float32;

    /// <summary>Its name in the device code.</summary>
    public static string NameOf(KernelParameter parameter)
    {
        string name = parameter.ToString();
        return char.ToLowerInvariant(name[0]) + name[1..];
    }
}
