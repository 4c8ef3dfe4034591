using AttentionKernels.Tests.PtxEmulator;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>Split keys and their combination, against the float64 reference.</summary>
[Trait(TestDevice.Trait, TestDevice.Yes)]
public sealed unsafe class DecodeKernelTests
{
    private const int Rows = 16;

    [Fact]
    public void Decoding_Is_That_Of_The_Reference() =>
        Properties.ForAll(80, spec => Check(spec, ChunkOf(spec), nameof(Decoding_Is_That_Of_The_Reference)), 81, Fit);

    [Theory]
    [InlineData(ElementType.Float16, 64)]
    [InlineData(ElementType.Float16, 80)]
    [InlineData(ElementType.Float16, 96)]
    [InlineData(ElementType.Float16, 128)]
    [InlineData(ElementType.BFloat16, 64)]
    [InlineData(ElementType.BFloat16, 80)]
    [InlineData(ElementType.BFloat16, 96)]
    [InlineData(ElementType.BFloat16, 128)]
    public void Every_Configuration_Takes_Long_Chunks(ElementType type, int size) =>
        Check(new CaseSpec { Type = type, D = size, Dv = size, Group = 7, T = 613, Causal = true, Seed = size }, 320, nameof(Every_Configuration_Takes_Long_Chunks));

    [Theory]
    [InlineData(1, 40)]
    [InlineData(5, 7)]
    public void More_Rows_Than_A_Tile_Take_Several_Blocks(int rows, int group) =>
        Check(
            new CaseSpec { Type = ElementType.Float16, D = 64, Dv = 64, S = rows, Group = group, Kv = 2, T = 100, Causal = true, Seed = 4 }, 64,
            nameof(More_Rows_Than_A_Tile_Take_Several_Blocks));

    [Fact]
    public void Lengths_Are_Read_On_The_Device()
    {
        // The launch does not know that one element has no keys, one has one, and one has all of them.
        CaseSpec spec = new() { B = 3, Type = ElementType.BFloat16, D = 64, Dv = 64, Group = 4, T = 150, Lengths = true, Sink = true, Seed = 9 };
        using AttentionCase c = new(spec, nameof(Lengths_Are_Read_On_The_Device));
        (c.Problem.KeyLengths[0], c.Problem.KeyLengths[1], c.Problem.KeyLengths[2]) = (0, 1, 150);
        Launch(c, 64);
        c.Check(c.Output(), [], []);
        Assert.All(c.Output()[..(4 * 64)], x => Assert.Equal(0, x));
    }

    [Fact]
    public void Lengths_Outside_The_Buffer_Are_Cut()
    {
        CaseSpec spec = new() { B = 2, Type = ElementType.Float16, D = 64, Dv = 64, T = 70, Lengths = true, Seed = 10 };
        using AttentionCase c = new(spec, nameof(Lengths_Outside_The_Buffer_Are_Cut));
        (c.Problem.KeyLengths[0], c.Problem.KeyLengths[1]) = (int.MaxValue, int.MinValue);
        Launch(c, 64);
        (c.Problem.KeyLengths[0], c.Problem.KeyLengths[1]) = (70, 0);
        c.Check(c.Output(), [], []);
    }

    [Fact]
    public void How_Keys_Are_Split_Changes_Little_And_A_Rerun_Nothing()
    {
        CaseSpec spec = new() { Type = ElementType.Float16, D = 128, Dv = 128, Group = 3, T = 400, Seed = 11 };
        using AttentionCase c = new(spec, nameof(How_Keys_Are_Split_Changes_Little_And_A_Rerun_Nothing));
        foreach (int chunk in new[] { 64, 192, 448 })
        {
            Launch(c, chunk);
            float[] first = c.Output();
            c.Check(first, [], []);
            c.ClearResults();
            Launch(c, chunk);
            Assert.Equal(first, c.Output());
        }
    }

    [Theory]
    [InlineData(-0.3f)]
    [InlineData(0f)]
    public void Scale_May_Be_Any_Number(float scale)
    {
        CaseSpec spec = new() { Type = ElementType.BFloat16, D = 64, Dv = 64, S = 2, T = 90, Causal = true, Seed = 20 };
        using AttentionCase c = new(spec, nameof(Scale_May_Be_Any_Number));
        c.Problem.Scale = scale;
        Launch(c, 64);
        c.Check(c.Output(), [], []);
    }

    [Fact]
    public void A_Row_Whose_Keys_All_Have_The_Lowest_Bias_Sees_Them_All()
    {
        CaseSpec spec = new() { Type = ElementType.BFloat16, D = 64, Dv = 64, S = 2, T = 90, Bias = true, Seed = 21 };
        using AttentionCase c = new(spec, nameof(A_Row_Whose_Keys_All_Have_The_Lowest_Bias_Sees_Them_All));
        for (int j = 0; j < spec.T; j++)
        {
            spec.Type.Store(c.Problem.Bias.Data, j, Tolerance.Rounded(spec.Type, -3.38e38f));
        }
        Launch(c, 64);
        c.Check(c.Output(), [], []);
        Assert.Contains(c.Output()[..64], x => x != 0);
    }

    // Rows 16-byte aligned, value and head of one size, 16-bit elements, no roles; few rows.
    private static CaseSpec Fit(CaseSpec spec)
    {
        int size = (spec.D % 4) switch { 0 => 64, 1 => 80, 2 => 96, _ => 128 };
        return spec with
        {
            D = size,
            Dv = size,
            S = 1 + (spec.S % 3),
            T = Math.Max(spec.T, 3),
            Type = spec.Seed % 2 == 0 ? ElementType.Float16 : ElementType.BFloat16,
            Layout = spec.Layout == LayoutMode.Padded ? LayoutMode.HeadsFirst : spec.Layout,
            Roles = RoleMode.None,
        };
    }

    private static int ChunkOf(CaseSpec spec) => 64 * (1 + (spec.Seed % 3));

    private static void Check(CaseSpec spec, int chunk, string test)
    {
        using AttentionCase c = new(spec, test);
        Launch(c, chunk);
        c.Check(c.Output(), [], []);
    }

    /// <summary>Runs both kernels.</summary>
    /// <returns>What they executed.</returns>
    internal static (PtxCounts Decode, PtxCounts Combine) Launch(AttentionCase c, int chunk)
    {
        using KernelCase kernel = new(c);
        TestKernels run = kernel.Kernels;
        AttentionProblem p = c.Problem;
        int splits = (p.KeyLength + chunk - 1) / chunk, rows = p.Batch * p.Heads * p.QueryLength;
        long stats = run.Output<float>("partial stats", rows * splits * 2), outputs = run.Output<float>("partial outputs", rows * splits * p.HeadSize);
        run.Run(
            $"Decode_{kernel.ElementName}_{p.HeadSize}", (splits, p.KvHeads * (((p.Heads / p.KvHeads * p.QueryLength) + Rows - 1) / Rows), p.Batch),
            kernel.With(
                "query key value bias",
                ("keyLengths", kernel.KeyLengths), ("queryOffsets", kernel.QueryOffsets), ("partialStats", stats), ("partialOutputs", outputs),
                ("heads", p.Heads), ("kvHeads", p.KvHeads), ("queryLength", p.QueryLength), ("keyLength", p.KeyLength), ("splits", splits), ("chunkKeys", chunk),
                ("scale", p.Scale), ("softcap", p.Softcap), ("causal", p.Causal ? 1 : 0), ("window", p.Window)));
        PtxCounts decode = run.Counts;
        run.Run(
            $"DecodeCombine_{kernel.ElementName}", (rows, 1, 1),
            kernel.With(
                "output",
                ("partialStats", stats), ("partialOutputs", outputs), ("headSink", kernel.HeadSink),
                ("heads", p.Heads), ("queryLength", p.QueryLength), ("headSize", p.HeadSize), ("splits", splits)));
        return (decode, run.Counts);
    }
}
