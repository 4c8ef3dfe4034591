using System.Runtime.Intrinsics.X86;

namespace AttentionKernels.Cpu;

/// <summary>Which <see cref="InstructionSet"/> the engine uses on this machine.</summary>
public static class InstructionSets
{
    // Chosen once: concurrent first calls must not see half of the answer, for other instructions give other bits.
    private static readonly Lazy<InstructionSet> Chosen = new(() => Choose(Environment.GetEnvironmentVariable(Variable)));

    /// <summary>Environment variable that overrides the choice: <c>avx512</c>, <c>avx2</c> or <c>portable</c>.</summary>
    public const string Variable = "ATTNK_ISA";

    /// <summary>The widest set of this machine, or the one that the environment asks for.</summary>
    /// <exception cref="PlatformNotSupportedException">Accessing it: the environment names an unknown set or one that this machine lacks.</exception>
    public static InstructionSet Current => Chosen.Value;

    /// <summary>Whether this machine can run <paramref name="set"/>.</summary>
    public static bool IsSupported(InstructionSet set) => set switch
    {
        // Not Vector512.IsHardwareAccelerated: it is false on processors that clock down for 512 bits, where the kernels still gain.
        InstructionSet.Avx512 => Avx512F.IsSupported,
        InstructionSet.Avx2 => Avx2.IsSupported && Fma.IsSupported,
        _ => true,
    };

    internal static InstructionSet Choose(string? asked)
    {
        if (string.IsNullOrEmpty(asked))
        {
            return IsSupported(InstructionSet.Avx512) ? InstructionSet.Avx512
                : IsSupported(InstructionSet.Avx2) ? InstructionSet.Avx2
                : InstructionSet.Portable;
        }
        InstructionSet set = asked.ToLowerInvariant() switch
        {
            "avx512" => InstructionSet.Avx512,
            "avx2" => InstructionSet.Avx2,
            "portable" => InstructionSet.Portable,
            _ => throw new PlatformNotSupportedException($"{Variable} is '{asked}', expected avx512, avx2 or portable"),
        };
        return IsSupported(set) ? set : throw new PlatformNotSupportedException($"{Variable} is '{asked}', which this processor does not have");
    }
}
