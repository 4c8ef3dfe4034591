namespace AttentionKernels.Cpu;

/// <summary>Vector instructions that the CPU engine can run on.</summary>
public enum InstructionSet
{
    /// <summary>128-bit vectors of whatever the processor has.</summary>
    Portable,

    /// <summary>x86 AVX2 with FMA, 256-bit vectors.</summary>
    Avx2,

    /// <summary>x86 AVX-512F, 512-bit vectors.</summary>
    Avx512,
}
