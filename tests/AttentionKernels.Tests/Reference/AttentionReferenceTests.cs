using AttentionKernels.Reference;
using AttentionKernels.Tests.Support;
using static AttentionKernels.Tests.Support.Token;

namespace AttentionKernels.Tests.Reference;

/// <summary>
/// Cases solved on paper, for the reference and for every engine. A key of weight w has the logit ln w, so a probability is a weight over the sum of
/// the visible weights. 0b01 is speaker 0, 0b10 speaker 1.
/// </summary>
public sealed unsafe class AttentionReferenceTests
{
    private static readonly Token Silent = new(Modality.Text);

    /// <summary>(1*6 + 2*12 + 3*18) / 6 = 14.</summary>
    [Fact]
    public void Output_Is_The_Mean_Of_Values_By_Weight()
    {
        using TinyProblem p = new([1, 2, 3], [6, 12, 18]);
        p.Gives(14);
    }

    /// <summary>Without an offset the last row stands at the last key: row 0 sees keys 0 and 1, (6 + 24) / 3 = 10.</summary>
    [Fact]
    public void Causal_Rows_Are_Aligned_With_The_End_Of_The_Keys()
    {
        using TinyProblem p = new([1, 2, 3], [6, 12, 18], rows: 2);
        p.Problem.Causal = true;
        p.Gives(10, 14);
    }

    /// <summary>Row 0 at position 0 sees key 0; at position -1 it sees nothing and is 0.</summary>
    [Theory]
    [InlineData(0, 6, 10)]
    [InlineData(-1, 0, 6)]
    [InlineData(-2, 0, 0)]
    [InlineData(5, 14, 14)]
    public void An_Offset_Moves_The_Rows(int offset, double first, double second)
    {
        using TinyProblem p = new([1, 2, 3], [6, 12, 18], rows: 2);
        p.Problem.Causal = true;
        p.At(offset).Gives(first, second);
    }

    /// <summary>The row at position 2 with a window of 2 sees keys 1 and 2: (24 + 54) / 5. Of 1: itself.</summary>
    [Theory]
    [InlineData(1, 18)]
    [InlineData(2, 15.6)]
    [InlineData(3, 14)]
    [InlineData(int.MaxValue, 14)]
    public void A_Window_Counts_The_Row_Itself(int window, double expected)
    {
        using TinyProblem p = new([1, 2, 3], [6, 12, 18]);
        (p.Problem.Causal, p.Problem.Window) = (true, window);
        p.Gives(expected);
    }

    /// <summary>Not causal, at position 1: a window of 1 hides key 0 and leaves the future, (24 + 54) / 5.</summary>
    [Fact]
    public void A_Window_Alone_Limits_Only_The_Past()
    {
        using TinyProblem p = new([1, 2, 3], [6, 12, 18]);
        p.Problem.Window = 1;
        p.At(1).Gives(15.6);
    }

    [Theory]
    [InlineData(3, 14)]
    [InlineData(2, 10)]
    [InlineData(1, 6)]
    [InlineData(0, 0)]
    public void Keys_Behind_The_Length_Are_Not_There(int length, double expected)
    {
        using TinyProblem p = new([1, 2, 3], [6, 12, 18]);
        p.Lengths(length).At(2).Gives(expected);
    }

    /// <summary>A sink of weight 6 doubles the divisor: 84 / 12 = 7. One of weight 0 changes nothing.</summary>
    [Fact]
    public void A_Sink_Takes_Part_In_The_Sum_Alone()
    {
        using TinyProblem p = new([1, 2, 3], [6, 12, 18]);
        p.Sink(MathF.Log(6)).Gives(7);
        p.Sink(float.NegativeInfinity).Gives(14);
        p.Sink(200).Gives(84 / Math.Exp(200));
    }

    [Fact]
    public void A_Row_That_Sees_Nothing_Is_Zero_Also_With_A_Sink()
    {
        using TinyProblem p = new([1, 2, 3], [6, 12, 18], rows: 2);
        p.Added(float.NegativeInfinity, float.NegativeInfinity, float.NegativeInfinity, 0, 0, 0);
        p.Gives(0, 14);
        p.Sink(MathF.Log(6)).Gives(0, 7);
        p.Lengths(0).Gives(0, 0);
    }

    /// <summary>2 * 3 * 0.5 = 3, capped at 2: 2 tanh 1.5, then the bias 1; the other logit is 0. Capped last, or scaled last, is another number.</summary>
    [Fact]
    public void Scale_Then_Softcap_Then_Bias()
    {
        using TinyProblem p = new([1, 1], [1, 0]);
        p.With([2], [3, 0]).Added(1, 0);
        (p.Problem.Scale, p.Problem.Softcap) = (0.5f, 2);
        p.Gives(1 / (1 + Math.Exp(-((2 * Math.Tanh(1.5)) + 1))));
    }

    /// <summary>Adding ln 3 to key 0 triples its weight: (3*6 + 2*12 + 3*18) / 8 = 12. -inf removes it: 78 / 5.</summary>
    [Fact]
    public void Additive_Bias_Multiplies_Weights()
    {
        using TinyProblem p = new([1, 2, 3], [6, 12, 18]);
        p.Added(MathF.Log(3), 0, 0).Gives(12);
        p.Added(float.NegativeInfinity, 0, 0).Gives(15.6);
    }

    /// <summary>Of weights 1, 2, 3 and 6 for the word itself, the two boxed keys have 3 of 12; one row, two keys: 0.25 / 2.</summary>
    [Fact]
    public void Score_Is_The_Mean_Over_Pairs()
    {
        using TinyProblem p = new([1, 2, 3, 6], [0, 0, 0, 0]);
        p.Roles(Shows(1), Shows(2), new(Modality.System), Says(1)).Scores(0.125);
    }

    /// <summary>Rows 1 and 2 speak; row 1 sees weights 2 and 2, row 2 also 4: (1/2 + 1/4) / 2.</summary>
    [Fact]
    public void Score_Averages_Over_Spoken_Rows()
    {
        using TinyProblem p = new([2, 2, 4], [0, 0, 0], rows: 3);
        p.Problem.Causal = true;
        p.Roles(Shows(1), Says(1), Says(1)).Scores(0.375);
    }

    /// <summary>Four equal keys, two of them boxed: the score is exactly 0.25.</summary>
    [Fact]
    public void Active_Means_Strictly_Above_Lambda()
    {
        // All logits are ln 2. Biased: key 0 weighs 4 of 4 + 2 + 2 + 2, so its value 1 gives 0.4 instead of 0.25.
        using TinyProblem p = new([2, 2, 2, 2], [1, 0, 0, 0]);
        p.Roles(Shows(1), Shows(2), Silent, Says(1));
        p.Bias.Lambda = 0.25f;
        p.Scores(0.25);
        p.Gives(0.25);
        p.Bias.Lambda = MathF.BitDecrement(0.25f);
        p.Gives(0.4);
    }

    /// <summary>
    /// The own box has weight 2, the other speaker's 5: b = ln 5, so the own box weighs 2 * 5 = 10 of 10 + 5 + 1. By its own maximum it would be 4 of 10.
    /// </summary>
    [Fact]
    public void Bias_Is_The_Maximum_Over_All_Boxes()
    {
        using TinyProblem p = new([2, 5, 1], [1, 0, 0]);
        p.Roles(Shows(1), Shows(2), Says(1)).Gives(10.0 / 16);
    }

    /// <summary>alpha scales the logit: 4^(1/2) = 2 doubles, 4^2 = 16, 4^-1 quarters. Weights 1 own, 4 other, 1 word.</summary>
    [Theory]
    [InlineData(0.5, 2.0 / 7)]
    [InlineData(2, 16.0 / 21)]
    [InlineData(-1, 0.25 / 5.25)]
    [InlineData(0, 1.0 / 6)]
    public void Alpha_Scales_The_Bias(float alpha, double expected)
    {
        using TinyProblem p = new([1, 4, 1], [1, 0, 0]);
        p.Roles(Shows(1), Shows(2), Says(1));
        p.Bias.Alpha = alpha;
        p.Gives(expected);
    }

    /// <summary>However large alpha * m is, the aligned key just wins; the other sign removes it.</summary>
    [Theory]
    [InlineData(1e30f, 1)]
    [InlineData(3e38f, 1)]
    [InlineData(-3e38f, 0)]
    public void A_Huge_Alpha_Is_A_Hard_Choice(float alpha, double expected)
    {
        using TinyProblem p = new([1, 1, 1], [1, 0, 0]);
        p.With([1], [1e3f, 2e3f, 1]).Roles(Shows(1), Shows(2), Says(1));
        p.Bias.Alpha = alpha;
        p.ScoresIn(1).Gives(expected);
    }

    /// <summary>
    /// The sign hazard: the boxed logit is -1 at probability 0.02 (the word weighs 49 times as much), so b = -1 and 0.02 falls to
    /// 0.02 e^-1 / (1 + 0.02 (e^-1 - 1)) = 0.00745. Clamped, it stays.
    /// </summary>
    [Fact]
    public void A_Negative_Maximum_Pushes_Away_Unless_Clamped()
    {
        using TinyProblem p = new([MathF.Exp(-1), 49 * MathF.Exp(-1)], [1, 0]);
        p.Roles(Shows(1), Says(1)).Gives(0.0074517975);
        p.Aligns(0.02, 0.0074517975, 0.02, 0.0074517975);
        p.Bias.ClampNegative = true;
        p.Gives(0.02);
    }

    /// <summary>
    /// The word stands at position 2 of 4; the boxed key 3 of weight 100 is in the future. It counts in |V_all| = 2: score 0.5 / 2. It is not in the
    /// maximum: b = ln 2, so key 0 weighs 4 of 4 + 1 + 1.
    /// </summary>
    [Fact]
    public void A_Masked_Box_Counts_But_Does_Not_Lead()
    {
        using TinyProblem p = new([2, 1, 1, 100], [1, 0, 0, 0]);
        p.Problem.Causal = true;
        p.At(2).Roles(Shows(1), Silent, Says(1), Shows(1));
        p.Scores(0.25);
        p.Gives(4.0 / 6);

        // Two aligned keys, one of them hidden: mean 0.5 / 2 before, (2/3) / 2 after.
        p.Aligns(0.25, 1.0 / 3, 0.5, 2.0 / 3);
    }

    /// <summary>Behind the length a boxed key is not even counted: score 0.5 / 1.</summary>
    [Fact]
    public void A_Box_Behind_The_Length_Does_Not_Count()
    {
        using TinyProblem p = new([2, 1, 1, 100], [1, 0, 0, 0]);
        p.Problem.Causal = true;
        p.At(2).Lengths(3).Roles(Shows(1), Silent, Says(1), Shows(1)).Scores(0.5);
    }

    /// <summary>No visible box: b = 0, whatever alpha is.</summary>
    [Fact]
    public void Without_A_Visible_Box_A_Row_Is_Unchanged()
    {
        using TinyProblem p = new([1, 3, 100], [4, 8, 0], rows: 1);
        p.Problem.Causal = true;
        p.At(1).Roles(Silent, Says(1), Shows(1)).Gives(7);
        p.Scores(0);
        p.Aligns(0, 0, 0, 0);
    }

    /// <summary>
    /// Rows at positions 0, 1, 2 of length 2. Row 2 is padding: it is not in U, so the score is row 1's, 1/2, and it stays plain. Row 1: b = ln 2, 4 of 6.
    /// </summary>
    [Fact]
    public void Rows_Behind_The_Length_Are_Not_Spoken()
    {
        using TinyProblem p = new([2, 2, 7], [1, 0, 0], rows: 3);
        p.Lengths(2).At(0).Roles(Shows(1), Says(1), Says(1));
        p.Scores(0.5);
        p.Gives(0.5, 4.0 / 6, 0.5);
    }

    /// <summary>Row 0 would be token -1: not in U. Row 1 is token 0, which speaks and sees the box at key 1.</summary>
    [Fact]
    public void Rows_Before_The_First_Key_Are_Not_Spoken()
    {
        using TinyProblem p = new([2, 2], [0, 1], rows: 2);
        p.At(-1).Roles(Says(1), Shows(1));
        p.Scores(0.5);
        p.Gives(0.5, 4.0 / 6);
    }

    /// <summary>
    /// Keys: box of speaker 0 (weights 1 and 3), box of nobody who speaks (weight 4), three words of weight 8; everything visible, sum 32.
    /// Word 0 and word 1 are speaker 0's: p = 1/32 and 3/32, b = ln 4: weights 4 and 12 of 32 + 12 = 44. Word 2's speaker has no box: not averaged.
    /// </summary>
    [Fact]
    public void Alignment_Averages_Over_Rows_With_Aligned_Keys()
    {
        using TinyProblem p = new([1, 3, 4, 8, 8, 8], [0, 0, 0, 0, 0, 0], rows: 3);
        p.Roles(Shows(1), Shows(1), Shows(4), Says(1), Says(1), Says(2));
        p.Aligns(4.0 / 64, 16.0 / 88, 3.0 / 32, 12.0 / 44);
        p.Scores(8.0 / 32 / 3);

        // Inactive: after is before.
        p.Bias.Lambda = 1;
        p.Aligns(4.0 / 64, 4.0 / 64, 3.0 / 32, 3.0 / 32);

        // The same without value and output.
        (p.Problem.Value, p.Problem.Output, p.Bias.Lambda) = (default, default, 0);
        p.Aligns(4.0 / 64, 16.0 / 88, 3.0 / 32, 12.0 / 44);
    }

    /// <summary>Rows that differ: word 0 is aligned with weight 1 of 8, word 1 with 3 of 8, plainly; b = ln 3: 3 of 10 and 9 of 14.</summary>
    [Fact]
    public void Alignment_Weighs_Rows_Equally()
    {
        using TinyProblem p = new([1, 3, 2, 2], [0, 0, 0, 0], rows: 2);
        p.Roles(Shows(1), Shows(2), Says(1), Says(2));
        p.Aligns((0.125 + 0.375) / 2, (0.3 + (9.0 / 14)) / 2, (0.125 + 0.375) / 2, (0.3 + (9.0 / 14)) / 2);
    }

    /// <summary>
    /// One cell of weight 2 lies in both boxes; words 3 and 3, sum 8. Both words are aligned with it: b = ln 2, 4 of 10, and each speaker scores 1/4.
    /// </summary>
    [Fact]
    public void Two_Speakers_May_Share_A_Box()
    {
        using TinyProblem p = new([2, 3, 3], [1, 0, 0], rows: 2);
        p.Roles(Shows(3), Says(1), Says(2));
        p.Gives(0.4, 0.4);
        p.SpeakerScores(0.25, 0.25);
    }

    /// <summary>
    /// Sum 16: speaker 0's cell 1, both speakers' cell 2, speaker 1's cell 5; words 4 (speaker 0) and 4 (both). Pairs that share speaker 0: row 0 with cells 0, 1;
    /// row 1 with cells 0, 1: (1 + 2 + 1 + 2) / 16 / 4. Speaker 1: row 1 with cells 1, 2: (2 + 5) / 16 / 2. Row 0 and cell 1 share speaker 0 only.
    /// </summary>
    [Fact]
    public void Speaker_Scores_Average_Over_Pairs_That_Share_The_Speaker()
    {
        using TinyProblem p = new([1, 2, 5, 4, 4], [0, 0, 0, 0, 0], rows: 2);
        p.Roles(Shows(1), Shows(3), Shows(2), Says(1), Says(3));
        p.SpeakerScores(6.0 / 64, 7.0 / 32);
        p.Scores(0.5 / 3);

        // They stay unbiased whether the head is active or not, and whether there is an output or not.
        p.Bias.Lambda = 1;
        p.SpeakerScores(6.0 / 64, 7.0 / 32);
        (p.Problem.Value, p.Problem.Output) = (default, default);
        p.SpeakerScores(6.0 / 64, 7.0 / 32);
    }

    /// <summary>Speakers beyond the count are aligned as all are; they just have no score.</summary>
    [Fact]
    public void Speakers_Beyond_The_Count_Have_No_Score()
    {
        using TinyProblem p = new([2, 2], [1, 0]);
        p.Roles(Shows(1L << 62), Says((1L << 62) | 2));
        p.Gives(4.0 / 6);
        p.SpeakerScores(0, 0);
    }

    /// <summary>Weights 2 and 2. Spans that share a frame are aligned (4 of 6), spans that touch, and empty ones, are not; the key is in V_all either way.</summary>
    [Theory]
    [InlineData(0, 2, 1, 3, true)]
    [InlineData(0, 2, 2, 4, false)]
    [InlineData(2, 4, 0, 2, false)]
    [InlineData(0, 9, 4, 5, true)]
    [InlineData(0, 2, 1, 1, false)]
    [InlineData(1, 1, 0, 2, false)]
    [InlineData(-5, -3, -4, 0, true)]
    [InlineData(int.MinValue, int.MaxValue, 7, 8, true)]
    public void Aligned_Means_A_Frame_In_Common(int first, int end, int otherFirst, int otherEnd, bool aligned)
    {
        using TinyProblem p = new([2, 2], [1, 0]);
        p.Roles(Shows(1, first, end), Says(1, otherFirst, otherEnd));
        p.Scores(0.5);
        p.Gives(aligned ? 4.0 / 6 : 0.5);
        p.SpeakerScores(aligned ? 0.5 : 0, 0);
    }

    /// <summary>Only text speaks and only visual cells show, and only with a speaker.</summary>
    [Theory]
    [InlineData(Modality.Text, Modality.Audio)]
    [InlineData(Modality.Text, Modality.Text)]
    [InlineData(Modality.Generated, Modality.Visual)]
    [InlineData(Modality.System, Modality.Visual)]
    [InlineData(Modality.Padding, Modality.Visual)]
    [InlineData(Modality.Visual, Modality.Visual)]
    [InlineData(Modality.Text, Modality.Padding)]
    public void Other_Modalities_Take_No_Part(Modality row, Modality key)
    {
        using TinyProblem p = new([2, 2], [1, 0]);
        p.Roles(new(key, 1), new(row, 1));
        p.Scores(0);
        p.Gives(0.5);
        p.Aligns(0, 0, 0, 0);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 0)]
    public void Nobody_Is_Not_A_Speaker(long said, long shown)
    {
        using TinyProblem p = new([2, 2], [1, 0]);
        p.Roles(Shows(shown), Says(said));
        p.Bias.Lambda = -1;
        p.Scores(0);
        p.Gives(0.5);
    }

    /// <summary>Rows of another sequence have roles of their own: the keys' role at that position, here a box, is not asked.</summary>
    [Fact]
    public void Cross_Attention_Has_Roles_For_Its_Rows()
    {
        using TinyProblem p = new([2, 2], [1, 0], rows: 3);
        p.Roles(Shows(1), Shows(2)).RowRoles(Silent, Says(1), Says(2));
        p.Gives(0.5, 4.0 / 6, 2.0 / 6);
        p.Scores(0.5);
    }

    /// <summary>Four query heads share two key heads two by two: the key of head h is h / 2.</summary>
    [Fact]
    public void Query_Heads_Share_Key_Heads_In_Runs()
    {
        using GuardedBuffer query = GuardedBuffer.Of<float>([1, 2, 1, 2]);
        using GuardedBuffer key = GuardedBuffer.Of<float>([1, 0, 3, 0]);
        using GuardedBuffer value = GuardedBuffer.Of<float>([1, 0, 10, 0]);
        AttentionProblem problem = new()
        {
            Batch = 1,
            Heads = 4,
            KvHeads = 2,
            QueryLength = 1,
            KeyLength = 2,
            HeadSize = 1,
            ValueHeadSize = 1,
            Scale = 1,
            Query = TensorView.Bhsd(query.Data, ElementType.Float32, 4, 1, 1),
            Key = TensorView.Bhsd(key.Data, ElementType.Float32, 2, 2, 1),
            Value = TensorView.Bhsd(value.Data, ElementType.Float32, 2, 2, 1),
            Output = TensorView.Bhsd(query.Data, ElementType.Float32, 4, 1, 1),
        };
        double[] output = AttentionReference.Run<double>(problem, default).Output;
        double[] expected = [1 / (1 + Math.Exp(-1)), 1 / (1 + Math.Exp(-2)), 10 / (1 + Math.Exp(-3)), 10 / (1 + Math.Exp(-6))];
        Assert.All(expected.Zip(output), p => Assert.Equal(p.First, p.Second, 1e-14));
    }

    /// <summary>NaN where a row does not look stays there, whatever hides it; where it looks, the row is NaN.</summary>
    [Fact]
    public void NaN_Shows_Exactly_Where_It_Is_Seen()
    {
        using TinyProblem p = new([1, 2, float.NaN], [6, 12, float.NaN], rows: 2);
        p.Problem.Causal = true;
        p.Gives(10, double.NaN);
        p.Roles(Shows(1), Says(1), Says(1)).Scores(double.NaN);

        using TinyProblem length = new([1, 2, float.NaN], [6, 12, float.NaN], rows: 1);
        length.At(0).Lengths(2).Gives(10);

        using TinyProblem window = new([float.NaN, 1, 2], [float.NaN, 6, 12], rows: 2);
        (window.Problem.Causal, window.Problem.Window) = (true, 2);
        window.Gives(double.NaN, 10);

        using TinyProblem bias = new([1, float.NaN, 2], [6, float.NaN, 12], rows: 2);
        bias.Added(0, float.NegativeInfinity, 0, 0, 0, 0).Gives(10, double.NaN);

        using TinyProblem value = new([1, 1], [float.NaN, 0], rows: 1);
        value.Added(-1000, 0).Gives(double.NaN);
    }

    /// <summary>The last key that a causal row sees is NaN and all behind it is hidden: scores must say so, too.</summary>
    [Fact]
    public void NaN_In_The_Last_Visible_Key_Reaches_The_Scores()
    {
        using TinyProblem p = new([2, float.NaN, 1], [1, 0, 0]);
        p.Problem.Causal = true;
        p.At(1).Roles(Shows(1), Says(1), Silent);
        p.Gives(double.NaN);
        p.Scores(double.NaN);
        p.Aligns(double.NaN, double.NaN, double.NaN, double.NaN);
        p.SpeakerScores(double.NaN, 0);
    }

    /// <summary>Weights 2 and 2, score 0.5 in any case; the given score decides: 4 of 6 above lambda, plain at lambda or when it is no number.</summary>
    [Theory]
    [InlineData(0.7f, 4.0 / 6)]
    [InlineData(0.6f, 0.5)]
    [InlineData(0f, 0.5)]
    [InlineData(float.NaN, 0.5)]
    [InlineData(float.PositiveInfinity, 4.0 / 6)]
    public void Given_Scores_Decide_But_Are_Not_Reported(float given, double expected)
    {
        using TinyProblem p = new([2, 2], [1, 0]);
        p.Roles(Shows(1), Says(1)).ScoresIn(given);
        p.Bias.Lambda = 0.6f;
        p.Gives(expected);
        p.Scores(0.5);
    }

    /// <summary>Weights 2 own, 2 word, sink 4: the score is 1/4; biased 4 of 4 + 2 + 4. The sink is not a key, so it is in no class.</summary>
    [Fact]
    public void A_Sink_Lowers_Score_And_Bias_Alike()
    {
        using TinyProblem p = new([2, 2], [1, 0]);
        p.Roles(Shows(1), Says(1)).Sink(MathF.Log(4));
        p.Scores(0.25);
        p.Gives(0.4);
        p.SpeakerScores(0.25, 0);
        p.Aligns(0.25, 0.4, 0.25, 0.4);
    }

    /// <summary>Weights 2, 5, 1, all 10 times larger: plain attention does not see it, the bias does: ln 50, so 20 * 50 of 1000 + 50 + 10.</summary>
    [Fact]
    public void Shifting_All_Logits_Changes_The_Bias()
    {
        using TinyProblem p = new([20, 50, 10], [1, 0, 0]);
        p.Gives(0.25);
        p.Roles(Shows(1), Shows(2), Says(1)).Gives(1000.0 / 1060);
    }

    /// <summary>b uses the logit after the cap and the added bias: 2 tanh 1.5 + 1 for the own box; the word's logit is 0.</summary>
    [Fact]
    public void Bias_Uses_Final_Logits()
    {
        using TinyProblem p = new([1, 1], [1, 0]);
        p.With([2], [3, 0]).Added(1, 0).Roles(Shows(1), Says(1));
        (p.Problem.Scale, p.Problem.Softcap) = (0.5f, 2);
        p.Gives(1 / (1 + Math.Exp(-2 * ((2 * Math.Tanh(1.5)) + 1))));
    }

    [Fact]
    public void Impossible_Problems_Are_Refused()
    {
        using TinyProblem p = new([2, 2], [1, 0]);
        p.Roles(Shows(1), Says(1));
        Refused("Heads is 3", (ref q, ref _) => (q.Heads, q.KvHeads) = (3, 2));
        Refused("HeadSize is 0", (ref q, ref _) => q.HeadSize = 0);
        Refused("Window is -1", (ref q, ref _) => q.Window = -1);
        Refused("Softcap", (ref q, ref _) => q.Softcap = float.NaN);
        Refused("Scale", (ref q, ref _) => q.Scale = float.PositiveInfinity);
        Refused("Alpha", (ref _, ref s) => s.Alpha = float.NaN);
        Refused("Lambda", (ref _, ref s) => s.Lambda = float.NaN);
        Refused("Keys has 1", (ref _, ref s) => s.Keys.Length = 1);
        Refused("Value and Output", (ref q, ref _) => q.Output = default);
        Refused("SpeakerCount is 64", (ref _, ref s) => s.SpeakerCount = 64);
        p.Roles(Shows(-1), Says(1));
        Refused("speakers[0,0]", (ref _, ref _) => { });
        p.Roles(Shows(1, 3, 2), Says(1));
        Refused("frames[0,0] is [3,2)", (ref _, ref _) => { });
        p.Roles(new((Modality)5, 1), Says(1));
        Refused("modality[0,0] is 5", (ref _, ref _) => { });
        p.Roles(Shows(1), Says(1)).Lengths(3);
        Refused("KeyLengths[0] is 3", (ref _, ref _) => { });

        void Refused(string message, Change change)
        {
            AttentionProblem problem = p.Problem;
            SocialBias bias = p.Bias;
            change(ref problem, ref bias);
            Assert.Contains(message, Assert.Throws<ArgumentException>(() => AttentionReference.Run<double>(problem, bias)).Message, StringComparison.Ordinal);
            Assert.Contains(message, Assert.Throws<ArgumentException>(() => AttentionKernels.Cpu.AttentionCpu.Run(problem, bias)).Message, StringComparison.Ordinal);
        }
    }

    private delegate void Change(ref AttentionProblem problem, ref SocialBias bias);
}
