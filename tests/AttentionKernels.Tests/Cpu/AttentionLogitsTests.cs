using AttentionKernels.Cpu;
using AttentionKernels.Reference;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cpu;

/// <summary>The matrix of logits or probabilities at each of its stages.</summary>
public sealed unsafe class AttentionLogitsTests
{
    private static readonly InstructionSet[] Sets = [.. Enum.GetValues<InstructionSet>().Where(InstructionSets.IsSupported)];

    /// <summary>Every stage on every instruction set, against float64: 80 cases each, with NaN around every tensor.</summary>
    [Theory]
    [InlineData(LogitStage.Scaled)]
    [InlineData(LogitStage.Softcapped)]
    [InlineData(LogitStage.Masked)]
    [InlineData(LogitStage.Probability)]
    internal void Every_Stage_Is_The_Reference(LogitStage stage) => Properties.ForAll(80, spec =>
    {
        using AttentionCase c = new(spec, nameof(Every_Stage_Is_The_Reference), scoresOnly: spec.Seed % 2 == 0);
        float hidden = (spec.Seed % 3, spec.Type) switch { (0, _) => 0f, (1, _) => float.NegativeInfinity, (_, ElementType.Float32) => float.MinValue, _ => -60000f };
        double[] truth = AttentionLogitsReference.Run<double>(c.Problem, stage, hidden);
        Dictionary<int, float[]> plain = [];
        foreach (InstructionSet set in Sets)
        {
            float[] matrix = Run(c, stage, hidden, 1 + (spec.Seed % 3), set);
            Tolerance.Check($"{stage} on {set}", matrix, truth, Plain, spec.Type, c.Repro);
        }

        float[] Plain(int order) => plain.TryGetValue(order, out float[]? known) ? known
            : plain[order] = AttentionLogitsReference.Run<float>(c.Problem, stage, hidden, order);
    }, salt: 400 + (ulong)stage, restrict: spec => spec with { Roles = RoleMode.None });

    /// <summary>Threads and repetition do not change a bit, nor does the batch around an element.</summary>
    [Theory]
    [InlineData(LogitStage.Masked)]
    [InlineData(LogitStage.Probability)]
    internal void Threads_And_Batches_Do_Not_Change_A_Bit(LogitStage stage) => Properties.ForAll(40, spec =>
    {
        using AttentionCase c = new(spec, nameof(Threads_And_Batches_Do_Not_Change_A_Bit));
        foreach (InstructionSet set in Sets)
        {
            float[] one = Run(c, stage, 0, 1, set);
            foreach (int threads in (int[])[1, 2, 7])
            {
                Assert.True(one.AsSpan().SequenceEqual(Run(c, stage, 0, threads, set)), $"{threads} threads on {set}; {c.Repro}");
            }
        }

        AttentionProblem whole = c.Problem;
        float[] all = Run(c, stage, 0, 2, null);
        for (int b = 0; b < spec.B; b++)
        {
            c.Problem = whole;
            c.Problem.Batch = 1;
            c.Problem.Query = Element(whole.Query, b);
            c.Problem.Key = Element(whole.Key, b);
            c.Problem.Bias = whole.Bias.IsEmpty ? default : Element(whole.Bias, b);
            c.Problem.KeyLengths = whole.KeyLengths == null ? null : whole.KeyLengths + b;
            c.Problem.QueryOffsets = whole.QueryOffsets == null ? null : whole.QueryOffsets + b;
            float[] alone = Run(c, stage, 0, 2, null);
            Assert.True(all.AsSpan(b * alone.Length, alone.Length).SequenceEqual(alone), $"element {b}; {c.Repro}");
        }
        c.Problem = whole;
    }, salt: 410 + (ulong)stage, restrict: spec => spec with { Roles = RoleMode.None, Logits = LogitMode.Normal });

    /// <summary>Probabilities of a row sum to 1, with the sink's part, or are all 0.</summary>
    [Fact]
    public void Probabilities_Of_A_Row_Sum_To_One_Or_To_Zero() => Properties.ForAll(100, spec =>
    {
        using AttentionCase c = new(spec, nameof(Probabilities_Of_A_Row_Sum_To_One_Or_To_Zero), scoresOnly: true);
        float[] logits = Run(c, LogitStage.Masked, float.NegativeInfinity, 2, null), probabilities = Run(c, LogitStage.Probability, 0, 2, null);
        for (int row = 0; row < logits.Length; row += spec.T)
        {
            bool sees = logits.AsSpan(row, spec.T).IndexOfAnyExcept(float.NegativeInfinity) >= 0;
            double sum = 0;
            foreach (float p in probabilities.AsSpan(row, spec.T))
            {
                sum += p;
            }
            // Each probability is rounded three times: in e^x (2 ulp), in the sum and in the quotient.
            Assert.True(sees ? Math.Abs(sum - 1) <= 6e-7 * Math.Sqrt(spec.T) : sum == 0, $"row {row / spec.T} sums to {sum:R}; {c.Repro}");
        }
    }, salt: 420, restrict: spec => spec with { Roles = RoleMode.None, Sink = false, Type = ElementType.Float32, Logits = LogitMode.Normal });

    [Fact]
    public void Impossible_Problems_Are_Refused()
    {
        AttentionProblem problem = new() { Batch = 1, Heads = 3, KvHeads = 2 };
        ArgumentException e = Assert.Throws<ArgumentException>(() => AttentionLogits.Run(problem, LogitStage.Scaled, 0, default));
        Assert.Contains("Heads is 3", e.Message, StringComparison.Ordinal);
    }

    private static float[] Run(AttentionCase c, LogitStage stage, float hidden, int threads, InstructionSet? set)
    {
        ref AttentionProblem p = ref c.Problem;
        ElementType type = c.Spec.Type;
        int count = p.Batch * p.Heads * p.QueryLength * p.KeyLength;
        using GuardedBuffer buffer = new((long)count * type.Size());
        TensorView matrix = TensorView.Bhsd(buffer.Data, type, p.Heads, p.QueryLength, p.KeyLength);
        AttentionLogits.Run(p, stage, hidden, matrix, threads, set);
        buffer.CheckMargins("matrix", c.Repro);
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
        {
            values[i] = type.Load(buffer.Data, i);
        }
        return values;
    }

    private static TensorView Element(TensorView tensor, int b)
    {
        byte* data = (byte*)tensor.Data + (tensor.Offset(b, 0, 0) * tensor.Type.Size());
        return new TensorView(data, tensor.Type, tensor.BatchStride, tensor.HeadStride, tensor.RowStride);
    }
}
