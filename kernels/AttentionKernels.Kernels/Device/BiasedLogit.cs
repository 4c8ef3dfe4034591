using System.Runtime.CompilerServices;

namespace AttentionKernels.Kernels.Device;

/// <summary>A logit in natural units plus a dense bias.</summary>
internal static class BiasedLogit
{
    // The lowest number that stays finite when it is multiplied by log2(e).
    private const float Lowest = -2.3e38f;

    /// <summary>
    /// The sum; -inf where the bias is, whatever the logit. A finite bias hides nothing, though the lowest float is often meant to: a row of which all keys have it is still a row that
    /// sees keys.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Of(float logit, float bias)
    {
        float sum = logit + bias;
        sum = sum < Lowest ? Lowest : sum;
        return bias == float.NegativeInfinity ? bias : sum;
    }
}
