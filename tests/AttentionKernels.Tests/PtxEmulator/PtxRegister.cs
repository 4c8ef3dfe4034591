namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>A declared register.</summary>
/// <param name="Name">Name in the PTX text.</param>
/// <param name="Id">Number in the entry, from 0.</param>
/// <param name="Bits">16, 32 or 64; 1 for a predicate.</param>
/// <param name="Slot">
/// Byte offset in a warp's register file: 32 lanes of 4 bytes (16 and 32 bits) or of 8 bytes, or one mask of 32 bits for a predicate.
/// </param>
internal sealed record PtxRegister(string Name, int Id, int Bits, int Slot);
