namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>A slot that holds the same bits in all lanes.</summary>
internal readonly record struct PtxConstant(int Slot, ulong Bits, bool Wide);
