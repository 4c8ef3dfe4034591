namespace AttentionKernels.Bench.Device;

/// <summary>What became of a side.</summary>
internal enum DeviceSideStatus
{
    /// <summary>Its result was right and it was timed.</summary>
    Measured,

    /// <summary>Its result was wrong: it was not timed.</summary>
    Wrong,

    /// <summary>It did not run to its end.</summary>
    Failed,
}
