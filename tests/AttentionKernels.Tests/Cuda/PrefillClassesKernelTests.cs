using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>The two sweeps of the class kernel, with roles made for them: where aligned keys lie, and which rows want them.</summary>
[Trait(TestDevice.Trait, TestDevice.Yes)]
public sealed unsafe class PrefillClassesKernelTests
{
    private const int Speaker = 1, Other = 2;

    /// <summary>Which rows are in U, and which keys are boxed for their speaker or for another one.</summary>
    public static TheoryData<string> Patterns { get; } =
        ["far apart", "none", "all keys", "one warp of four", "one row", "single keys", "inside a tile", "rows differ", "last block alone", "everything boxed for another", "one warp for another"];

    [Theory]
    [MemberData(nameof(Patterns))]
    public void Aligned_Keys_May_Lie_Anywhere(string pattern)
    {
        CaseSpec spec = new() { Type = ElementType.Float16, D = 64, Dv = 64, S = 140, T = 330, Roles = RoleMode.Cross, Lambda = -1, Sink = true, Seed = 3 };
        Meet(spec, pattern);
        Meet(spec with { Type = ElementType.BFloat16, Logits = LogitMode.Large, Seed = 4 }, pattern);
        Meet(spec with { Lengths = true, B = 2, Seed = 5 }, pattern);
    }

    [Theory]
    [MemberData(nameof(Patterns))]
    public void Causal_Mask_And_Window_May_Hide_Them(string pattern)
    {
        // Rows are at the end of the keys, or, for the last case, so far before them that most rows see nothing.
        CaseSpec spec = new() { Type = ElementType.Float16, D = 64, Dv = 64, S = 140, T = 330, Roles = RoleMode.Cross, Lambda = -1, Causal = true, Seed = 6 };
        Meet(spec, pattern);
        Meet(spec with { Window = 40 }, pattern);
        Meet(spec with { Window = 1, Causal = false }, pattern);
        Meet(spec with { S = 140, T = 40 }, pattern);
    }

    /// <summary>A length that ends within a tile of aligned keys: those behind it are neither seen nor counted.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(33)]
    [InlineData(64)]
    [InlineData(95)]
    public void A_Length_May_End_Among_Them(int length)
    {
        CaseSpec spec = new() { Type = ElementType.BFloat16, D = 80, Dv = 80, S = 40, T = 130, Roles = RoleMode.Cross, Lengths = true, Lambda = -1, Seed = 7 };
        using AttentionCase c = Make(spec, "all keys");
        c.Problem.KeyLengths[0] = length;
        c.Problem.QueryOffsets[0] = length - 40;
        PrefillLaunch.Run(c);
        CudaTolerance.Check(c);
    }

    /// <summary>More than 1024 tiles share notes: here 8 tiles a bit.</summary>
    [Theory]
    [MemberData(nameof(Patterns))]
    public void Tiles_May_Share_A_Note(string pattern)
    {
        CaseSpec spec = new() { Type = ElementType.Float16, D = 64, Dv = 64, S = 130, T = 600, Roles = RoleMode.Cross, Lambda = -1, Seed = 8 };
        using AttentionCase c = Make(spec, pattern);
        PrefillLaunch.Run(c, tiles: 4096);
        CudaTolerance.Check(c);
    }

    [Theory]
    [MemberData(nameof(Patterns))]
    public void The_Same_Call_Again_Gives_The_Same_Bits(string pattern)
    {
        CaseSpec spec = new() { Type = ElementType.Float16, D = 64, Dv = 64, S = 140, T = 200, Roles = RoleMode.Cross, Lambda = -1, Seed = 9 };
        using AttentionCase c = Make(spec, pattern);
        PrefillLaunch.Run(c);
        (float[] output, float[] scores, float[] alignment) = (c.Output(), c.HeadScores(), c.Alignment());
        c.ClearResults();
        PrefillLaunch.Run(c);
        Assert.Equal(output, c.Output());
        Assert.Equal(scores, c.HeadScores());
        Assert.Equal(alignment, c.Alignment());
    }

    /// <summary>A row that is not in U has the bits of the plain kernel, whatever its neighbours in the block are.</summary>
    [Theory]
    [MemberData(nameof(Patterns))]
    public void Other_Rows_Have_The_Bits_Of_The_Plain_Kernel(string pattern)
    {
        CaseSpec spec = new() { Type = ElementType.BFloat16, D = 96, Dv = 96, S = 140, T = 200, Roles = RoleMode.Cross, Lambda = -1, Sink = true, Seed = 10 };
        using AttentionCase c = Make(spec, pattern);
        PrefillLaunch.Run(c);
        float[] steered = c.Output();
        c.ClearResults();
        using KernelCase kernel = new(c);
        PrefillLaunch.Run(c, kernel, "PrefillPlain", null, 0, 0);
        float[] plain = c.Output();
        for (int i = 0; i < plain.Length; i++)
        {
            Assert.True(IsSpoken(pattern, i / 96) || steered[i] == plain[i], $"row {i / 96} is {steered[i]:R}, expected {plain[i]:R}");
        }
    }

    /// <summary>The output of a class that saw no key is 0, and its partials say so.</summary>
    [Fact]
    public void Classes_Without_Keys_Are_Empty()
    {
        CaseSpec spec = new() { Type = ElementType.Float16, D = 64, Dv = 64, S = 40, T = 70, Roles = RoleMode.Cross, Lambda = -1, Seed = 11 };
        foreach (string pattern in new[] { "none", "all keys" })
        {
            using AttentionCase c = Make(spec, pattern);
            using KernelCase kernel = new(c);
            (long stats, long outputs) = PrefillLaunch.Run(c, kernel);
            bool isAligned = pattern == "none";
            for (int u = 0; u < kernel.Spoken; u++)
            {
                float[] row = TestKernels.Read<float>(stats + (u * 32), 8), classes = TestKernels.Read<float>(outputs + (u * 2 * 64 * 4), 128);
                Assert.Equal([float.NegativeInfinity, 0], isAligned ? row[..2] : row[2..4]);
                Assert.All(isAligned ? classes[..64] : classes[64..], x => Assert.Equal(0, x));
                Assert.True((isAligned ? row[3] : row[1]) > 0);
            }
        }
    }

    private static void Meet(CaseSpec spec, string pattern)
    {
        using AttentionCase c = Make(spec, pattern);
        PrefillLaunch.Run(c);
        CudaTolerance.Check(c);
    }

    /// <summary>Gives a case, whose queries have roles of their own, a pattern's.</summary>
    internal static void SetRoles(AttentionCase c, string pattern)
    {
        CaseSpec spec = c.Spec;
        for (int i = 0; i < spec.B * spec.S; i++)
        {
            c.Bias.Queries.Modality[i] = (byte)Modality.Text;
            c.Bias.Queries.Speakers[i] = IsSpoken(pattern, i % spec.S) ? Speaker << (pattern == "rows differ" ? i % 5 : 0) : 0;
            (c.Bias.Queries.Frames[2 * i], c.Bias.Queries.Frames[(2 * i) + 1]) = (0, 1);
        }
        for (int j = 0; j < spec.B * spec.T; j++)
        {
            c.Bias.Keys.Modality[j] = (byte)(j % 7 == 3 && pattern != "all keys" ? Modality.Text : Modality.Visual);
            c.Bias.Keys.Speakers[j] = SpeakersOf(pattern, j % spec.T, spec.T);
            (c.Bias.Keys.Frames[2 * j], c.Bias.Keys.Frames[(2 * j) + 1]) = (0, 1);
        }
    }

    private static AttentionCase Make(CaseSpec spec, string pattern)
    {
        AttentionCase c = new(spec, pattern);
        SetRoles(c, pattern);
        return c;
    }

    private static bool IsSpoken(string pattern, int row) => pattern switch
    {
        "one warp of four" or "one warp for another" => row is >= 32 and < 64,
        "one row" => row == 77,
        "last block alone" => row >= 128,
        "all keys" => true,
        _ => row % 3 != 1,
    };

    private static int SpeakersOf(string pattern, int key, int keys) => pattern switch
    {
        "far apart" => key < 20 || key >= keys - 20 ? Speaker : Other,
        "none" => 0,
        "everything boxed for another" or "one warp for another" => Other,
        "all keys" => Speaker,
        "single keys" => key % 97 == 5 ? Speaker : key % 2 == 0 ? Other : 0,
        "inside a tile" => key is >= 40 and < 44 ? Speaker : 0,
        "rows differ" => Speaker << (key / 70 % 5),
        _ => key is >= 64 and < 130 ? Speaker : key < 32 ? 0 : Other,
    };
}
