namespace AttentionKernels.Cpu;

/// <summary>
/// Softmax partials of a row's key classes over a chunk of keys. Each class keeps its own maximum, so that a class which a sink outweighs by e^25
/// keeps its digits and can still be raised afterwards.
/// </summary>
/// <remarks>
/// Split (the head may be active): SumAligned is relative to MaxAligned. Not split: it is relative to MaxRest, and SumRest covers aligned keys too.
/// Sums of an unseen class are 0, maxima -inf.
/// </remarks>
internal struct ClassPartials
{
    /// <summary>Largest logit of an aligned key.</summary>
    public float MaxAligned;

    /// <summary>Sum of exponentials over aligned keys.</summary>
    public float SumAligned;

    /// <summary>Largest logit of the rest, the head sink included; of all keys when not split.</summary>
    public float MaxRest;

    /// <summary>Sum of exponentials over the rest, the head sink included; over all keys when not split.</summary>
    public float SumRest;

    /// <summary>Part of SumRest on keys of V_all that are not aligned.</summary>
    public float SumBoxed;

    /// <summary>Largest logit of a key of V_all that is not aligned.</summary>
    public float MaxBoxed;
}
