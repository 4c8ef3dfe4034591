using AttentionKernels.Tests.PtxEmulator;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>The kernel without tensor cores, with the gate and the epilogue behind it, against the float64 reference.</summary>
[Trait(TestDevice.Trait, TestDevice.Yes)]
public sealed unsafe class PrefillSimtKernelTests
{
    private const int Rows = 64, Columns = 128;

    [Fact]
    public void Plain_Attention_Is_That_Of_The_Reference() =>
        Properties.ForAll(60, spec => Check(spec, nameof(Plain_Attention_Is_That_Of_The_Reference)), 71, spec => Small(spec) with { Roles = RoleMode.None });

    [Fact]
    public void Steered_Attention_Is_That_Of_The_Reference() =>
        Properties.ForAll(60, spec => Check(spec, nameof(Steered_Attention_Is_That_Of_The_Reference)), 72, spec => Small(spec) with
        {
            Roles = spec.Roles == RoleMode.None ? RoleMode.Self : spec.Roles,
        });

    [Fact]
    public void Scores_Need_No_Values() =>
        Properties.ForAll(20, spec => Check(spec, nameof(Scores_Need_No_Values), scoresOnly: true), 73, spec => Small(spec) with
        {
            Roles = spec.Roles == RoleMode.None ? RoleMode.Self : spec.Roles,
        });

    [Theory]
    [InlineData(ElementType.Float32, 256, 256)]
    [InlineData(ElementType.Float16, 33, 130)]
    [InlineData(ElementType.BFloat16, 250, 257)]
    public void Heads_May_Have_Any_Size(ElementType type, int size, int valueSize)
    {
        CaseSpec spec = new() { Type = type, D = size, Dv = valueSize, S = 70, T = 70, Roles = RoleMode.Cross, Seed = 3 };
        Check(spec, nameof(Heads_May_Have_Any_Size));
        Check(spec with { Roles = RoleMode.None }, nameof(Heads_May_Have_Any_Size));
    }

    [Fact]
    public void The_Value_Of_A_Key_That_A_Row_Does_Not_See_May_Be_Anything()
    {
        // Row i of 70 sees keys up to i; values of later keys are NaN and infinite. Row 69 sees them all.
        const int Length = 70;
        CaseSpec spec = new() { S = Length, T = Length, D = 8, Dv = 8, Causal = true, Type = ElementType.Float32, Seed = 5 };
        using AttentionCase c = new(spec, nameof(The_Value_Of_A_Key_That_A_Row_Does_Not_See_May_Be_Anything));
        for (int d = 0; d < 8; d++)
        {
            c.Problem.Value.Float(0, 0, 40)[d] = float.NaN;
            c.Problem.Value.Float(0, 0, 66)[d] = float.PositiveInfinity;
        }
        Launch(c);
        float[] output = c.Output();
        Assert.All(output[..(40 * 8)], x => Assert.True(float.IsFinite(x)));
        Assert.All(output[(40 * 8)..], x => Assert.True(float.IsNaN(x)));
    }

    [Fact]
    public void A_List_Of_Blocks_Leaves_Other_Rows_Alone()
    {
        CaseSpec spec = new() { B = 2, S = 130, T = 20, Type = ElementType.Float32, Seed = 6 };
        using AttentionCase c = new(spec, nameof(A_List_Of_Blocks_Leaves_Other_Rows_Alone));
        Launch(c);
        float[] all = c.Output();
        c.ClearResults();
        Launch(c, [4, 0]); // rows 64..127 of the second element, 0..63 of the first
        float[] some = c.Output();
        for (int i = 0; i < all.Length; i++)
        {
            int row = i / 8;
            bool listed = row is < 64 or (>= 130 + 64 and < 130 + 128);
            Assert.True(listed ? some[i] == all[i] : float.IsNaN(some[i]), $"row {row} is {some[i]}");
        }
    }

    [Fact]
    public void The_Same_Call_Twice_Gives_The_Same_Bits()
    {
        CaseSpec spec = new() { Kv = 2, S = 90, T = 90, D = 20, Dv = 20, Type = ElementType.Float16, Roles = RoleMode.Self, Sink = true, Seed = 12 };
        using AttentionCase c = new(spec, nameof(The_Same_Call_Twice_Gives_The_Same_Bits));
        Launch(c);
        (float[] output, float[] scores, float[] alignment) = (c.Output(), c.HeadScores(), c.Alignment());
        c.ClearResults();
        Launch(c);
        Assert.Equal(output, c.Output());
        Assert.Equal(scores, c.HeadScores());
        Assert.Equal(alignment, c.Alignment());
    }

    [Theory]
    [InlineData(-0.3f)]
    [InlineData(0f)]
    public void Scale_May_Be_Any_Number(float scale)
    {
        CaseSpec spec = new() { Type = ElementType.Float32, D = 8, Dv = 8, S = 2, T = 90, Causal = true, Roles = RoleMode.Self, Seed = 20 };
        using AttentionCase c = new(spec, nameof(Scale_May_Be_Any_Number));
        c.Problem.Scale = scale;
        Launch(c);
        c.Check(c.Output(), c.HeadScores(), c.Alignment());
    }

    [Fact]
    public void A_Row_Whose_Keys_All_Have_The_Lowest_Bias_Sees_Them_All()
    {
        CaseSpec spec = new() { Type = ElementType.Float32, D = 8, Dv = 8, S = 2, T = 90, Bias = true, Roles = RoleMode.Self, Seed = 21 };
        using AttentionCase c = new(spec, nameof(A_Row_Whose_Keys_All_Have_The_Lowest_Bias_Sees_Them_All));
        for (int j = 0; j < spec.T; j++)
        {
            spec.Type.Store(c.Problem.Bias.Data, j, Tolerance.Rounded(spec.Type, -3.38e38f));
        }
        Launch(c);
        c.Check(c.Output(), c.HeadScores(), c.Alignment());
        Assert.Contains(c.Output()[..8], x => x != 0);
    }

    // The emulator runs some 10 million lane instructions a second.
    private static CaseSpec Small(CaseSpec spec) => spec with
    {
        B = Math.Min(spec.B, 2),
        Kv = Math.Min(spec.Kv, 2),
        Group = Math.Min(spec.Group, 2),
        S = spec.Roles == RoleMode.Cross ? Math.Min(spec.S, 70) : Math.Min(Math.Min(spec.S, spec.T), 70),
        T = Math.Min(spec.T, 131),
        D = Math.Min(spec.D, 80),
        Dv = Math.Min(spec.Dv, 80),
    };

    private static void Check(CaseSpec spec, string test, bool scoresOnly = false)
    {
        using AttentionCase c = new(spec, test, scoresOnly: scoresOnly);
        Launch(c);
        c.Check(c.Output(), c.HeadScores(), c.Alignment());
    }

    /// <summary>Runs the kernel, and what follows it where there are rows of U.</summary>
    /// <returns>What the kernel executed.</returns>
    internal static PtxCounts Launch(AttentionCase c, int[]? blocks = null)
    {
        using KernelCase kernel = new(c);
        TestKernels run = kernel.Kernels;
        AttentionProblem p = c.Problem;
        SocialBias bias = c.Bias;
        int valueSize = p.Value.IsEmpty ? 0 : p.ValueHeadSize, spoken = kernel.Spoken, rowBlocks = (p.QueryLength + Rows - 1) / Rows;
        bool isSplit = spoken > 0;
        long stats = isSplit ? run.Output<float>("stats", p.Heads * spoken * 8) : 0;
        long outputs = isSplit && valueSize > 0 ? run.Output<float>("outputs", p.Heads * spoken * 2 * valueSize) : 0;
        run.Run(
            $"PrefillSimt_{kernel.ElementName}_{(isSplit ? "classes" : "plain")}",
            (blocks?.Length ?? (p.Batch * rowBlocks), p.Heads, Math.Max(1, (valueSize + Columns - 1) / Columns)),
            kernel.With(
                "query key value output bias",
                ("headSink", kernel.HeadSink), ("keyLengths", kernel.KeyLengths), ("queryOffsets", kernel.QueryOffsets),
                ("blocks", blocks == null ? 0 : run.Input("blocks", blocks)),
                ("spokenIndex", isSplit ? kernel.SpokenIndex : 0), ("run", kernel.Run), ("aligned", kernel.Aligned), ("boxed", kernel.Boxed),
                ("stats", stats), ("outputs", outputs),
                ("heads", p.Heads), ("kvHeads", p.KvHeads), ("queryLength", p.QueryLength), ("keyLength", p.KeyLength),
                ("headSize", p.HeadSize), ("valueHeadSize", valueSize), ("rowBlocks", rowBlocks), ("tiles", kernel.Tiles), ("spoken", spoken),
                ("scale", p.Scale), ("softcap", p.Softcap), ("causal", p.Causal ? 1 : 0), ("window", p.Window)));
        PtxCounts counts = run.Counts;
        if (!bias.Keys.IsEmpty)
        {
            SpokenRows.Finish(c, kernel, stats, outputs);
        }
        return counts;
    }
}
