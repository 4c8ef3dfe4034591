namespace AttentionKernels.Tests.PtxEmulator;

internal enum WarpState
{
    Running,

    /// <summary>Waits for the other warps of the block.</summary>
    AtBarrier,
    Done,
}
