namespace AttentionKernels.Kernels.Compiler;

/// <summary>What the compiler made of a configuration.</summary>
/// <param name="Configuration">The row of the table.</param>
/// <param name="Ptx">The text that is stored.</param>
/// <param name="Parameters">Its parameters, in order.</param>
internal sealed record CompiledKernel(KernelConfiguration Configuration, string Ptx, KernelParameter[] Parameters);
