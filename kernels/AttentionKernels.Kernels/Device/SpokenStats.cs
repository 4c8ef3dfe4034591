using System.Runtime.CompilerServices;

namespace AttentionKernels.Kernels.Device;

/// <summary>
/// Softmax partials of a row of U and one head, as the class kernels leave them: [8] float32, maxima of the logits times log2(e), sums relative
/// to their class's maximum. The head sink is not among them. A class that saw no key has maximum -inf and sum 0.
/// </summary>
internal struct SpokenStats
{
    /// <summary>Bytes of a row's partials.</summary>
    public const int Bytes = 32;

    /// <summary>Largest logit of an aligned key, and the sum over aligned keys.</summary>
    public float MaxAligned, SumAligned;

    /// <summary>Largest logit of the other keys, and the sum over them.</summary>
    public float MaxRest, SumRest;

    /// <summary>Part of SumRest on keys of V_all.</summary>
    public float SumBoxed;

    /// <summary>Largest logit of a key of V_all, aligned or not.</summary>
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
}
