namespace AttentionKernels.Kernels.Compiler;

/// <summary>A kernel cannot be compiled; the message says where and why.</summary>
internal sealed class CompileException(string message) : Exception(message);
