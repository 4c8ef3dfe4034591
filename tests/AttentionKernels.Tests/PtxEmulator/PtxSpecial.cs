namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>A special register that a kernel reads, e.g. %tid.x, and its slot of 32 lanes of 4 bytes.</summary>
internal readonly record struct PtxSpecial(string Name, int Slot);
