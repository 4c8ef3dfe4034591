namespace AttentionKernels.Bench.Device;

/// <summary>What a case measures.</summary>
internal enum DeviceCaseKind
{
    /// <summary>Plain attention over a prompt.</summary>
    Prefill,

    /// <summary>Plain attention over a prompt, the same steered, and scores alone.</summary>
    Steered,

    /// <summary>One new token's attention over a cache.</summary>
    Decode,

    /// <summary>New rows rotated and written into a cache, then their attention; and that attention alone.</summary>
    Append,
}
