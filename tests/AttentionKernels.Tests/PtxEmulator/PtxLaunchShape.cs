namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Grid, block and shared memory of a launch.</summary>
internal readonly record struct PtxLaunchShape(PtxBlockIndex Grid, int Threads, int DynamicSharedBytes, int TotalSharedBytes);
