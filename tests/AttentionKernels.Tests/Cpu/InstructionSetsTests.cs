using AttentionKernels.Cpu;

namespace AttentionKernels.Tests.Cpu;

public sealed class InstructionSetsTests
{
    [Theory]
    [InlineData(null)]
    [InlineData("")]
    public void Nothing_Asked_Is_The_Widest(string? asked) =>
        Assert.Equal(Enum.GetValues<InstructionSet>().Where(InstructionSets.IsSupported).Max(), InstructionSets.Choose(asked));

    [Theory]
    [InlineData("portable", InstructionSet.Portable)]
    [InlineData("AVX2", InstructionSet.Avx2)]
    [InlineData("avx512", InstructionSet.Avx512)]
    public void A_Set_Is_Taken_Or_Refused_By_Name(string asked, InstructionSet expected)
    {
        if (InstructionSets.IsSupported(expected))
        {
            Assert.Equal(expected, InstructionSets.Choose(asked));
        }
        else
        {
            Assert.Contains($"'{asked}'", Assert.Throws<PlatformNotSupportedException>(() => InstructionSets.Choose(asked)).Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("sse")]
    [InlineData("avx-512")]
    [InlineData(" avx2")]
    public void An_Unknown_Set_Is_Refused(string asked)
    {
        PlatformNotSupportedException e = Assert.Throws<PlatformNotSupportedException>(() => InstructionSets.Choose(asked));
        Assert.Equal($"ATTNK_ISA is '{asked}', expected avx512, avx2 or portable", e.Message);
    }
}
