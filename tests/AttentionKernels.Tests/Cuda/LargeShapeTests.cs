using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>
/// Shapes of real prompts, on sampled rows. The emulator takes the same laws at a 128th of the length. Logits of standard deviation 3: a row then rests on a few keys anywhere, and would differ by
/// about its own size if a tile were lost.
/// </summary>
[Trait(TestDevice.Trait, TestDevice.Yes)]
[Collection(CudaCollection.Name)]
public sealed unsafe class LargeShapeTests(StubDriver stub)
{
    [Theory]
    [InlineData(ElementType.Float16, 64, 16384, 16384, 1, 2, true)]
    [InlineData(ElementType.Float16, 128, 8192, 32768, 1, 1, false)]
    [InlineData(ElementType.BFloat16, 80, 4096, 8192, 2, 2, true)]
    [InlineData(ElementType.BFloat16, 96, 4096, 4096, 2, 1, false)]
    [InlineData(ElementType.BFloat16, 128, 16384, 16384, 1, 2, true)]
    [InlineData(ElementType.Float32, 64, 2048, 4096, 1, 2, true)]
    public void A_Long_Prompt_Meets_The_Reference(ElementType type, int size, int rows, int keys, int kvHeads, int group, bool causal)
    {
        CaseSpec spec = new() { Type = type, D = size, Dv = size, S = Length(rows), T = Length(keys), Kv = kvHeads, Group = group, Causal = causal, Layout = LayoutMode.RowsFirst, Seed = size + rows };
        using AttentionCase c = new(spec, nameof(A_Long_Prompt_Meets_The_Reference));
        Sharpen(c);
        RunTwice(c);
        new SampledRows(c).Check(Sample(spec.S, spec.Seed));
    }

    /// <summary>Rows of U in one utterance or more; many heads are active.</summary>
    [Theory]
    [InlineData(ElementType.Float16, 64, 8192, true)]
    [InlineData(ElementType.Float16, 128, 4096, true)]
    [InlineData(ElementType.BFloat16, 80, 4096, true)]
    [InlineData(ElementType.BFloat16, 96, 4096, false)]
    [InlineData(ElementType.BFloat16, 128, 8192, true)]
    public void A_Long_Steered_Prompt_Meets_The_Reference(ElementType type, int size, int length, bool causal)
    {
        CaseSpec spec = new()
        {
            Type = type,
            D = size,
            Dv = size,
            S = Length(length),
            T = Length(length),
            Group = 2,
            Causal = causal,
            Layout = LayoutMode.RowsFirst,
            Roles = RoleMode.Self,
            Lambda = -1,
            Seed = (2 * size) + 2,
        };
        using AttentionCase c = new(spec, nameof(A_Long_Steered_Prompt_Meets_The_Reference));
        Sharpen(c);
        int count = Math.Min(spec.S / 3, 300), first = (2 * spec.S / 3) - 5;
        SampledRows.KeepSpoken(c, first, count);
        RunTwice(c);
        new SampledRows(c).Check([.. Sample(spec.S, spec.Seed).Where(row => row < first || row >= first + count)], first, count);
    }

    [Theory]
    [InlineData(ElementType.Float16, 64, 32768, 1, 2, 4)]
    [InlineData(ElementType.Float16, 80, 8192, 16, 1, 4)]
    [InlineData(ElementType.BFloat16, 96, 8192, 3, 4, 1)]
    [InlineData(ElementType.BFloat16, 128, 32768, 4, 2, 7)]
    public void A_Decode_Step_Behind_Many_Keys_Meets_The_Reference(ElementType type, int size, int keys, int batch, int kvHeads, int group)
    {
        CaseSpec spec = new()
        {
            B = TestDevice.Size(batch, Math.Min(batch, 2)),
            Kv = kvHeads,
            Group = group,
            T = Length(keys),
            D = size,
            Dv = size,
            Type = type,
            Causal = true,
            Lengths = true,
            Seed = size + batch,
        };
        using AttentionCase c = new(spec, nameof(A_Decode_Step_Behind_Many_Keys_Meets_The_Reference));
        Sharpen(c);
        for (int b = 0; b < spec.B; b++)
        {
            c.Problem.QueryOffsets[b] = c.Problem.KeyLengths[b] - 1;
        }
        RunTwice(c);
        new SampledRows(c).Check([0]);
    }

    private static int Length(int onDevice) => TestDevice.Size(onDevice, onDevice / 128);

    private static void Sharpen(AttentionCase c) => c.Problem.Scale *= 2;

    /// <summary>Ends, borders of blocks, and some others.</summary>
    private static int[] Sample(int rows, int seed)
    {
        Random random = new(seed);
        int[] some = [0, 63, 64, 127, 128, rows - 1, .. Enumerable.Range(0, 4).Select(_ => random.Next(rows))];
        return [.. some.Where(row => row < rows).Distinct()];
    }

    private void RunTwice(AttentionCase c)
    {
        using TestDevice device = TestDevice.Open(stub);
        device.Run(c);
        (float[] output, float[] scores, float[] alignment) = (c.Output(), c.HeadScores(), c.Alignment());
        c.ClearResults();
        device.Run(c);
        Assert.True(output.AsSpan().SequenceEqual(c.Output()), $"the same call again gave another output; {c.Repro}");
        Assert.Equal(scores, c.HeadScores());
        Assert.Equal(alignment, c.Alignment());
    }
}
