namespace AttentionKernels.Kernels.Compiler;

/// <summary>A parameter of a compiled kernel.</summary>
/// <param name="Name">Its name in C#.</param>
/// <param name="Type">"long", "int" or "float".</param>
/// <param name="Offset">Bytes from the start of the parameters.</param>
/// <param name="Size">Bytes.</param>
internal sealed record KernelParameter(string Name, string Type, int Offset, int Size);
