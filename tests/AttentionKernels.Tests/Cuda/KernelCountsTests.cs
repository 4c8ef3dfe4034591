using AttentionKernels.Tests.PtxEmulator;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>
/// What kernels execute, counted by the emulator: the cost model where no GPU is near. Instructions are those of the PTX, one for each warp; ptxas makes other ones of them. A change here is one in
/// speed, to be meant.
/// </summary>
public sealed class KernelCountsTests
{
    /// <summary>128 rows, 128 keys: four warps and four tiles.</summary>
    [Theory]
    [InlineData(64, "")]
    [InlineData(80, "")]
    [InlineData(96, "")]
    [InlineData(128, "")]
    public void Of_PrefillPlain(int size, string expected) => Pin("PrefillPlain", size, "none", expected);

    /// <summary>The second sweep takes one tile of the four.</summary>
    [Theory]
    [InlineData(64, "")]
    [InlineData(80, "")]
    [InlineData(96, "")]
    [InlineData(128, "")]
    public void Of_PrefillClasses(int size, string expected) => Pin("PrefillClasses", size, "inside a tile", expected);

    /// <summary>One warp has rows of U, and there is no second sweep.</summary>
    [Theory]
    [InlineData(64, "")]
    [InlineData(128, "")]
    public void Of_PrefillClasses_Without_Aligned_Keys(int size, string expected) => Pin("PrefillClasses", size, "one warp for another", expected);

    [Theory]
    [InlineData(64, "")]
    [InlineData(80, "")]
    [InlineData(96, "")]
    [InlineData(128, "")]
    public void Of_PrefillOptions(int size, string expected) => Pin("PrefillOptions", size, "inside a tile", expected);

    [Theory]
    [InlineData(64, "")]
    [InlineData(80, "")]
    [InlineData(96, "")]
    [InlineData(128, "")]
    public void Of_ScoresOnly(int size, string expected) => Pin("ScoresOnly", size, "inside a tile", expected);

    /// <summary>8 heads that share keys, 512 keys in two parts.</summary>
    [Theory]
    [InlineData(64, "", "")]
    [InlineData(80, "", "")]
    [InlineData(96, "", "")]
    [InlineData(128, "", "")]
    public void Of_Decode(int size, string expected, string expectedCombine)
    {
        CaseSpec spec = new() { Type = ElementType.BFloat16, D = size, Dv = size, Group = 8, T = 512, Seed = 8 };
        using AttentionCase c = new(spec, nameof(Of_Decode));
        (PtxCounts decode, PtxCounts combine) = DecodeKernelTests.Launch(c, 256);
        Assert.Equal(expected, Text(decode));
        Assert.Equal(expectedCombine, Text(combine));
    }

    /// <summary>64 rows, 128 keys.</summary>
    [Theory]
    [InlineData(ElementType.Float32, false, "")]
    [InlineData(ElementType.Float32, true, "")]
    [InlineData(ElementType.BFloat16, false, "")]
    [InlineData(ElementType.BFloat16, true, "")]
    public void Of_PrefillSimt(ElementType type, bool isSplit, string expected)
    {
        CaseSpec spec = new() { Type = type, D = 64, Dv = 64, S = 64, T = 128, Roles = isSplit ? RoleMode.Cross : RoleMode.None, Lambda = -1, Seed = 8 };
        using AttentionCase c = new(spec, nameof(Of_PrefillSimt));
        if (isSplit)
        {
            PrefillClassesKernelTests.SetRoles(c, "inside a tile");
        }
        Assert.Equal(expected, Text(PrefillSimtKernelTests.Launch(c)));
    }

    /// <summary>85 rows of U, D = 128.</summary>
    [Theory]
    [InlineData(ElementType.Float16, "", "")]
    [InlineData(ElementType.BFloat16, "", "")]
    public void Of_HeadScores_And_SocialBias(ElementType type, string expected, string expectedEpilogue)
    {
        CaseSpec spec = new() { Type = type, D = 128, Dv = 128, S = 128, T = 128, Roles = RoleMode.Cross, Lambda = -1, Seed = 8 };
        using AttentionCase c = new(spec, nameof(Of_HeadScores_And_SocialBias));
        PrefillClassesKernelTests.SetRoles(c, "inside a tile");
        using KernelCase kernel = new(c);
        long stats = kernel.Kernels.Output<float>("stats", kernel.Spoken * 8), outputs = kernel.Kernels.Output<float>("outputs", kernel.Spoken * 2 * 128);
        PrefillLaunch.Run(c, kernel, "PrefillClasses", null, stats, outputs);
        (PtxCounts gate, PtxCounts? epilogue) = SpokenRows.Finish(c, kernel, stats, outputs);
        Assert.Equal(expected, Text(gate));
        Assert.Equal(expectedEpilogue, Text(epilogue!));
    }

    /// <summary>What is pinned.</summary>
    internal static string Text(PtxCounts counts) =>
        $"{counts.WarpInstructions} instructions, {counts.Mma} mma, {counts.GlobalBytesRead} B read, {counts.GlobalBytesWritten} B written, {counts.BankConflicts} conflicts";

    private static void Pin(string kernelName, int size, string pattern, string expected)
    {
        CaseSpec spec = new() { Type = ElementType.BFloat16, D = size, Dv = size, S = 128, T = 128, Roles = pattern == "none" ? RoleMode.None : RoleMode.Cross, Lambda = -1, Seed = 8 };
        using AttentionCase c = new(spec, kernelName, scoresOnly: kernelName == "ScoresOnly");
        if (pattern != "none")
        {
            PrefillClassesKernelTests.SetRoles(c, pattern);
        }
        using KernelCase kernel = new(c);
        long stats = kernel.Spoken == 0 ? 0 : kernel.Kernels.Output<float>("stats", kernel.Spoken * 8);
        long outputs = kernel.Spoken == 0 || kernelName == "ScoresOnly" ? 0 : kernel.Kernels.Output<float>("outputs", kernel.Spoken * 2 * size);
        PrefillLaunch.Run(c, kernel, kernelName, null, stats, outputs);
        Assert.Equal(expected, Text(kernel.Kernels.Counts));
    }
}
