using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>The tensor-core kernels of many rows, with the gate and the epilogue behind them, against the float64 reference.</summary>
[Trait(TestDevice.Trait, TestDevice.Yes)]
public sealed unsafe class PrefillKernelTests
{
    public static TheoryData<ElementType, int> Configurations { get; } = new()
    {
        { ElementType.Float16, 64 }, { ElementType.Float16, 80 }, { ElementType.Float16, 96 }, { ElementType.Float16, 128 },
        { ElementType.BFloat16, 64 }, { ElementType.BFloat16, 80 }, { ElementType.BFloat16, 96 }, { ElementType.BFloat16, 128 },
    };

    [Fact]
    public void Plain_Attention_Is_That_Of_The_Reference() =>
        Properties.ForAll(60, spec => Check(spec, nameof(Plain_Attention_Is_That_Of_The_Reference)), 91, spec => Fit(spec) with
        {
            Roles = RoleMode.None,
            Softcap = 0,
            Bias = false,
        });

    [Fact]
    public void Attention_With_Options_Is_That_Of_The_Reference() =>
        Properties.ForAll(40, spec => Check(spec, nameof(Attention_With_Options_Is_That_Of_The_Reference)), 92, spec => Fit(spec) with
        {
            Roles = RoleMode.None,
            Softcap = spec.Softcap == 0 ? 7 : spec.Softcap,
            Bias = spec.Seed % 2 == 0,
        });

    [Fact]
    public void Steered_Attention_Is_That_Of_The_Reference() =>
        Properties.ForAll(60, spec => Check(spec, nameof(Steered_Attention_Is_That_Of_The_Reference)), 93, spec => Fit(spec) with
        {
            Roles = spec.Roles == RoleMode.None ? RoleMode.Self : spec.Roles,
        });

    [Fact]
    public void Scores_Need_No_Values() =>
        Properties.ForAll(40, spec => Check(spec, nameof(Scores_Need_No_Values), scoresOnly: true), 94, spec => Fit(spec) with
        {
            Roles = spec.Roles == RoleMode.None ? RoleMode.Self : spec.Roles,
        });

    [Theory]
    [MemberData(nameof(Configurations))]
    public void Every_Configuration_Takes_Several_Blocks_And_Tiles(ElementType type, int size)
    {
        CaseSpec spec = new() { Type = type, D = size, Dv = size, Group = 2, S = 150, T = 170, Causal = true, Sink = true, Seed = size };
        Check(spec, nameof(Every_Configuration_Takes_Several_Blocks_And_Tiles));
        Check(spec with { Roles = RoleMode.Self }, nameof(Every_Configuration_Takes_Several_Blocks_And_Tiles));
        Check(spec with { Roles = RoleMode.Self, Softcap = 20, Bias = true }, nameof(Every_Configuration_Takes_Several_Blocks_And_Tiles));
        Check(spec with { Roles = RoleMode.Self }, nameof(Every_Configuration_Takes_Several_Blocks_And_Tiles), scoresOnly: true);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 64)]
    [InlineData(63, 65)]
    [InlineData(64, 63)]
    [InlineData(65, 64)]
    [InlineData(130, 130)]
    [InlineData(129, 1)]
    public void Lengths_May_Be_Odd(int rows, int keys)
    {
        CaseSpec spec = new() { Type = ElementType.Float16, D = 64, Dv = 64, S = rows, T = keys, Seed = rows + keys };
        Check(spec, nameof(Lengths_May_Be_Odd));
        Check(spec with { Causal = true }, nameof(Lengths_May_Be_Odd));
        Check(spec with { Roles = RoleMode.Cross }, nameof(Lengths_May_Be_Odd));
    }

    [Fact]
    public void Lengths_Are_Read_On_The_Device_And_Cut_To_The_Buffer()
    {
        CaseSpec spec = new() { B = 4, Type = ElementType.BFloat16, D = 64, Dv = 64, S = 40, T = 70, Lengths = true, Causal = true, Sink = true, Seed = 9 };
        using AttentionCase c = new(spec, nameof(Lengths_Are_Read_On_The_Device_And_Cut_To_The_Buffer));
        (c.Problem.KeyLengths[0], c.Problem.KeyLengths[1], c.Problem.KeyLengths[2], c.Problem.KeyLengths[3]) = (0, 1, int.MaxValue, int.MinValue);
        PrefillLaunch.Run(c);
        (c.Problem.KeyLengths[2], c.Problem.KeyLengths[3]) = (70, 0);
        c.Check(c.Output(), [], []);
        Assert.All(c.Output()[..(40 * 64)], x => Assert.Equal(0, x));
    }

    [Fact]
    public void A_Scale_May_Be_Negative_Or_0()
    {
        CaseSpec spec = new() { Type = ElementType.Float16, D = 64, Dv = 64, S = 40, T = 70, Causal = true, Roles = RoleMode.Self, Seed = 15 };
        foreach (float scale in new[] { -0.3f, 0f })
        {
            using AttentionCase c = new(spec, nameof(A_Scale_May_Be_Negative_Or_0));
            c.Problem.Scale = scale;
            PrefillLaunch.Run(c);
            CudaTolerance.Check(c, hasSpeakerScores: false);
        }
    }

    [Theory]
    [InlineData("PrefillPlain", 128)]
    [InlineData("PrefillClasses", 128)]
    [InlineData("PrefillOptions", 64)]
    public void A_List_Of_Blocks_Leaves_Other_Rows_Alone(string name, int rows)
    {
        CaseSpec spec = new() { B = 2, S = 2 * rows + 2, T = 40, D = 64, Dv = 64, Type = ElementType.Float16, Seed = 6 };
        using AttentionCase c = new(spec, nameof(A_List_Of_Blocks_Leaves_Other_Rows_Alone));
        using KernelCase kernel = new(c);
        PrefillLaunch.Run(c, kernel, name, null, 0, 0);
        float[] all = c.Output();
        c.ClearResults();
        PrefillLaunch.Run(c, kernel, name, [4, 0], 0, 0); // the second block of the second element, the first of the first
        float[] some = c.Output();
        for (int i = 0; i < all.Length; i++)
        {
            int row = i / 64;
            bool listed = row < rows || (row >= spec.S + rows && row < spec.S + (2 * rows));
            Assert.True(listed ? some[i] == all[i] : float.IsNaN(some[i]), $"row {row} is {some[i]}");
        }
    }

    [Fact]
    public void The_Same_Call_Twice_Gives_The_Same_Bits()
    {
        CaseSpec spec = new() { Kv = 2, S = 90, T = 90, D = 80, Dv = 80, Type = ElementType.Float16, Roles = RoleMode.Self, Sink = true, Seed = 12 };
        using AttentionCase c = new(spec, nameof(The_Same_Call_Twice_Gives_The_Same_Bits));
        PrefillLaunch.Run(c);
        (float[] output, float[] scores, float[] alignment) = (c.Output(), c.HeadScores(), c.Alignment());
        c.ClearResults();
        PrefillLaunch.Run(c);
        Assert.Equal(output, c.Output());
        Assert.Equal(scores, c.HeadScores());
        Assert.Equal(alignment, c.Alignment());
    }

    // Rows 16-byte aligned, value and head of one size, 16-bit elements; small, because the emulator runs some 10 million lane instructions a second.
    private static CaseSpec Fit(CaseSpec spec)
    {
        int size = (spec.D % 4) switch { 0 => 64, 1 => 80, 2 => 96, _ => 128 };
        return spec with
        {
            B = Math.Min(spec.B, 2),
            Kv = Math.Min(spec.Kv, 2),
            Group = Math.Min(spec.Group, 2),
            S = spec.Roles == RoleMode.Cross ? Math.Min(spec.S, 140) : Math.Min(Math.Min(spec.S, spec.T), 140),
            T = Math.Min(spec.T, 140),
            D = size,
            Dv = size,
            Type = spec.Seed % 2 == 0 ? ElementType.Float16 : ElementType.BFloat16,
            Layout = spec.Layout == LayoutMode.Padded ? LayoutMode.HeadsFirst : spec.Layout,
        };
    }

    private static void Check(CaseSpec spec, string test, bool scoresOnly = false)
    {
        using AttentionCase c = new(spec, test, scoresOnly: scoresOnly);
        PrefillLaunch.Run(c);
        CudaTolerance.Check(c, hasSpeakerScores: false);
    }
}
