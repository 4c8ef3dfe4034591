namespace AttentionKernels.Cuda;

/// <summary>Blocks of a launch.</summary>
/// <param name="X">At most 2^31 - 1.</param>
/// <param name="Y">At most 65535.</param>
/// <param name="Z">At most 65535.</param>
internal readonly record struct Grid(int X, int Y = 1, int Z = 1);
