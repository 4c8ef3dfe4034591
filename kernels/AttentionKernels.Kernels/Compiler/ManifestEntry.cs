namespace AttentionKernels.Kernels.Compiler;

/// <summary>One kernel in manifest.json. kernels/README.md describes the members.</summary>
internal sealed record ManifestEntry(
    string Name,
    string File,
    string Kernel,
    string? ElementType,
    int? HeadSize,
    string? Variant,
    int Threads,
    int DynamicSharedBytes,
    int Rows,
    int Keys,
    int? Registers,
    string SourceHash,
    KernelParameter[] Parameters);
