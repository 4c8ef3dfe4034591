namespace AttentionKernels.Kernels.Compiler;

/// <summary>What ptxas made of a kernel.</summary>
/// <param name="Device">For which device, for example "sm_90".</param>
/// <param name="Registers">Registers of a thread.</param>
/// <param name="StackBytes">Local memory of a thread.</param>
/// <param name="SpillBytes">Registers that it had to store there.</param>
/// <param name="Instructions">Machine instructions; null: unknown.</param>
internal sealed record PtxasReport(string Device, int Registers, int StackBytes, int SpillBytes, int? Instructions);
