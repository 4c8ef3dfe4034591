using System.Runtime.CompilerServices;

namespace AttentionKernels.Kernels.Device;

/// <summary>
/// Softmax partials of a row of U and one head, as the class kernels leave them: [8] float32, maxima of the logits times log2(e), sums relative
/// to their class's maximum. The head sink is not among them. A class that saw no key has sum 0.
/// </summary>
internal struct SpokenStats
{
    /// <summary>Bytes of a row's partials.</summary>
    public const int Bytes = 32;

    /// <summary>Largest logit of an aligned key (-inf: none is seen), and the sum over aligned keys.</summary>
    public float MaxAligned, SumAligned;

    /// <summary>Near the largest logit of the other keys (<see cref="LazyRows"/>; -inf: none is seen), and the sum over them relative to this number.</summary>
    public float MaxRest, SumRest;

    /// <summary>Part of SumRest on keys of V_all.</summary>
    public float SumBoxed;

    /// <summary>Largest logit of a key of V_all that is not aligned; MaxAligned may be among them, for readers take the larger of both.</summary>
    public float MaxBoxed;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SpokenStats Load(long address)
    {
        Float4 first = Float4.LoadGlobal(address), second = Float4.LoadGlobal(address + 16);
        return new SpokenStats
        {
            MaxAligned = first.X,
            SumAligned = first.Y,
            MaxRest = first.Z,
            SumRest = first.W,
            SumBoxed = second.X,
            MaxBoxed = second.Y,
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(long address)
    {
        new Float4 { X = MaxAligned, Y = SumAligned, Z = MaxRest, W = SumRest }.StoreGlobal(address);
        new Float4 { X = SumBoxed, Y = MaxBoxed }.StoreGlobal(address + 16);
    }

    /// <summary>Writes what a row leaves of its rest.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreRest(long address, float level, float sum, float maxBoxed, float sumBoxed)
    {
        GlobalMemory.StorePair(address + 8, Arithmetic.Select(sum == 0, float.NegativeInfinity, level), sum);
        new Float4 { X = sumBoxed, Y = maxBoxed }.StoreGlobal(address + 16);
    }

    /// <summary>Writes what it leaves of its aligned keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreAligned(long address, float maximum, float sum) => GlobalMemory.StorePair(address, maximum, sum);
}
