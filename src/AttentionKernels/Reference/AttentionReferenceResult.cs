namespace AttentionKernels.Reference;

/// <summary>What <see cref="AttentionReference"/> computes.</summary>
/// <typeparam name="T">Type of every operation.</typeparam>
public sealed class AttentionReferenceResult<T>
{
    /// <summary>[B, H, S, ValueHeadSize]; empty when the problem has no value.</summary>
    public required T[] Output { get; init; }

    /// <summary>[B, H] mean unbiased probability from U to V_all.</summary>
    public required T[] HeadScores { get; init; }

    /// <summary>[B, H] whether the bias was applied.</summary>
    public required bool[] Active { get; init; }

    /// <summary>[B, H, 4] mean before, mean after, max before, max after of the probability on aligned keys.</summary>
    public required T[] Alignment { get; init; }

    /// <summary>[B, H, SpeakerCount] mean unbiased probability over each speaker's aligned pairs.</summary>
    public required T[] SpeakerScores { get; init; }
}
