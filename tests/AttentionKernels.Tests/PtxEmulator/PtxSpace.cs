namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>State space of a memory access.</summary>
internal enum PtxSpace
{
    Generic,
    Global,
    Shared,
    Local,
    Parameter,
}
