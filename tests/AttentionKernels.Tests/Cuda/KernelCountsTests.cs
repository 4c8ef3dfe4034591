using AttentionKernels.Tests.PtxEmulator;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>
/// What kernels execute, counted by the emulator: the cost model where no GPU is near. Instructions are those of the PTX, one for each warp; ptxas makes other ones of them. A change here is one in
/// speed, to be meant. Decode and PrefillSimt meet some bank conflicts; the others none.
/// </summary>
public sealed class KernelCountsTests
{
    /// <summary>128 rows, 128 keys: four warps and four tiles.</summary>
    [Theory]
    [InlineData(64, "15064 instructions, 1024 mma, 49152 B read, 16384 B written, 0 conflicts")]
    [InlineData(80, "17608 instructions, 1280 mma, 61440 B read, 20480 B written, 0 conflicts")]
    [InlineData(96, "19748 instructions, 1536 mma, 73728 B read, 24576 B written, 0 conflicts")]
    [InlineData(128, "21676 instructions, 2048 mma, 98304 B read, 32768 B written, 0 conflicts")]
    public void Of_PrefillPlain(int size, string expected) => Pin("PrefillPlain", size, "none", expected);

    /// <summary>The second sweep takes one tile of the four.</summary>
    [Theory]
    [InlineData(64, "24620 instructions, 1280 mma, 67068 B read, 51744 B written, 0 conflicts")]
    [InlineData(80, "27424 instructions, 1600 mma, 82428 B read, 64000 B written, 0 conflicts")]
    [InlineData(96, "30732 instructions, 1920 mma, 97788 B read, 76256 B written, 0 conflicts")]
    [InlineData(128, "33528 instructions, 2560 mma, 128508 B read, 100768 B written, 0 conflicts")]
    public void Of_PrefillClasses(int size, string expected) => Pin("PrefillClasses", size, "inside a tile", expected);

    /// <summary>One warp has rows of U, and there is no second sweep.</summary>
    [Theory]
    [InlineData(64, "19124 instructions, 1024 mma, 56960 B read, 29696 B written, 0 conflicts")]
    [InlineData(128, "26252 instructions, 2048 mma, 110208 B read, 58368 B written, 0 conflicts")]
    public void Of_PrefillClasses_Without_Aligned_Keys(int size, string expected) => Pin("PrefillClasses", size, "one warp for another", expected);

    [Theory]
    [InlineData(64, "33712 instructions, 1152 mma, 101008 B read, 51744 B written, 0 conflicts")]
    [InlineData(80, "38184 instructions, 1440 mma, 122512 B read, 64000 B written, 0 conflicts")]
    [InlineData(96, "41960 instructions, 1728 mma, 144016 B read, 76256 B written, 0 conflicts")]
    [InlineData(128, "46368 instructions, 2304 mma, 187024 B read, 100768 B written, 0 conflicts")]
    public void Of_PrefillOptions(int size, string expected) => Pin("PrefillOptions", size, "inside a tile", expected);

    [Theory]
    [InlineData(64, "18992 instructions, 512 mma, 43664 B read, 2720 B written, 0 conflicts")]
    [InlineData(80, "19824 instructions, 640 mma, 51856 B read, 2720 B written, 0 conflicts")]
    [InlineData(96, "20432 instructions, 768 mma, 60048 B read, 2720 B written, 0 conflicts")]
    [InlineData(128, "20432 instructions, 1024 mma, 76432 B read, 2720 B written, 0 conflicts")]
    public void Of_ScoresOnly(int size, string expected) => Pin("ScoresOnly", size, "inside a tile", expected);

    /// <summary>8 heads that share keys, 512 keys in two parts.</summary>
    [Theory]
    [InlineData(
        64, "19286 instructions, 512 mma, 133120 B read, 4224 B written, 256 conflicts", "4032 instructions, 0 mma, 20480 B read, 1024 B written, 0 conflicts")]
    [InlineData(
        80, "21292 instructions, 640 mma, 166400 B read, 5248 B written, 632 conflicts", "4992 instructions, 0 mma, 23552 B read, 1280 B written, 0 conflicts")]
    [InlineData(
        96, "22260 instructions, 768 mma, 199680 B read, 6272 B written, 912 conflicts", "4992 instructions, 0 mma, 26624 B read, 1536 B written, 0 conflicts")]
    [InlineData(
        128, "23858 instructions, 1024 mma, 266240 B read, 8320 B written, 512 conflicts", "5952 instructions, 0 mma, 32768 B read, 2048 B written, 0 conflicts")]
    public void Of_Decode(int size, string expected, string expectedCombine)
    {
        CaseSpec spec = new() { Type = ElementType.BFloat16, D = size, Dv = size, Group = 8, T = 512, Seed = 8 };
        using AttentionCase c = new(spec, nameof(Of_Decode));
        (PtxCounts decode, PtxCounts combine) = DecodeKernelTests.Launch(c, 256);
        Same(expected, decode);
        Same(expectedCombine, combine);
    }

    /// <summary>64 rows, 128 keys.</summary>
    [Theory]
    [InlineData(ElementType.Float32, false, "143984 instructions, 0 mma, 98304 B read, 16384 B written, 768 conflicts")]
    [InlineData(ElementType.Float32, true, "199505 instructions, 0 mma, 120256 B read, 28768 B written, 1152 conflicts")]
    [InlineData(ElementType.BFloat16, false, "146416 instructions, 0 mma, 49152 B read, 8192 B written, 768 conflicts")]
    [InlineData(ElementType.BFloat16, true, "201893 instructions, 0 mma, 71104 B read, 26080 B written, 1152 conflicts")]
    public void Of_PrefillSimt(ElementType type, bool isSplit, string expected)
    {
        CaseSpec spec = new() { Type = type, D = 64, Dv = 64, S = 64, T = 128, Roles = isSplit ? RoleMode.Cross : RoleMode.None, Lambda = -1, Seed = 8 };
        using AttentionCase c = new(spec, nameof(Of_PrefillSimt));
        if (isSplit)
        {
            PrefillClassesKernelTests.SetRoles(c, "inside a tile");
        }
        Same(expected, PrefillSimtKernelTests.Launch(c));
    }

    /// <summary>85 rows of U, D = 128.</summary>
    [Theory]
    [InlineData(
        ElementType.Float16, "1036 instructions, 0 mma, 4428 B read, 20 B written, 0 conflicts", "26435 instructions, 0 mma, 206720 B read, 21760 B written, 0 conflicts")]
    [InlineData(
        ElementType.BFloat16, "1036 instructions, 0 mma, 4428 B read, 20 B written, 0 conflicts", "26435 instructions, 0 mma, 206720 B read, 21760 B written, 0 conflicts")]
    public void Of_HeadScores_And_SocialBias(ElementType type, string expected, string expectedEpilogue)
    {
        CaseSpec spec = new() { Type = type, D = 128, Dv = 128, S = 128, T = 128, Roles = RoleMode.Cross, Lambda = -1, Seed = 8 };
        using AttentionCase c = new(spec, nameof(Of_HeadScores_And_SocialBias));
        PrefillClassesKernelTests.SetRoles(c, "inside a tile");
        using KernelCase kernel = new(c);
        long stats = kernel.Kernels.Output<float>("stats", kernel.Spoken * 8), outputs = kernel.Kernels.Output<float>("outputs", kernel.Spoken * 2 * 128);
        PrefillLaunch.Run(c, kernel, "PrefillClasses", null, stats, outputs);
        (PtxCounts gate, PtxCounts? epilogue) = SpokenRows.Finish(c, kernel, stats, outputs);
        Same(expected, gate);
        Same(expectedEpilogue, epilogue!);
    }

    /// <summary>Two elements, 8 new rows of 3 query heads and 2 key heads behind 56 old ones.</summary>
    [Theory]
    [InlineData(ElementType.Float16, "26528 instructions, 0 mma, 59392 B read, 14352 B written, 0 conflicts")]
    [InlineData(ElementType.BFloat16, "27808 instructions, 0 mma, 59392 B read, 14352 B written, 0 conflicts")]
    [InlineData(ElementType.Float32, "25728 instructions, 0 mma, 104448 B read, 28688 B written, 0 conflicts")]
    public void Of_AppendKeyValue(ElementType type, string expected) => Same(
        expected,
        AppendKeyValueKernelTests.Check(new AppendKeyValueKernelTests.Setup(type, 64, 64, 32, false) { NewKeys = 8, PastLength = 64, KeyLength = 64, PresentLength = 64, Valid = [64, 60], Shared = true }));

    /// <summary>Compares what is pinned.</summary>
    private static void Same(string expected, PtxCounts counts)
    {
        string actual = $"{counts.WarpInstructions} instructions, {counts.Mma} mma, {counts.GlobalBytesRead} B read, {counts.GlobalBytesWritten} B written, {counts.BankConflicts} conflicts";
        Assert.True(expected == actual, $"{actual}; expected {expected}");
    }

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
        Same(expected, kernel.Kernels.Counts);
    }
}
