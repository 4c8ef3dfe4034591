using System.Runtime.InteropServices;
using AttentionKernels.Cpu;
using AttentionKernels.Reference;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cpu;

/// <summary>Laws of the engine that need no reference: which calls must give the same bits, and what must not matter.</summary>
public sealed unsafe class AttentionLawsTests
{
    private static readonly InstructionSet[] Sets = [.. Enum.GetValues<InstructionSet>().Where(InstructionSets.IsSupported)];

    /// <summary>Everything that cannot be active: strength 0, threshold infinite, nobody speaks, nothing is boxed, scores given at or below the threshold.</summary>
    [Fact]
    public void What_Cannot_Be_Active_Is_Plain_Attention() => ForAll(120, nameof(What_Cannot_Be_Active_Is_Plain_Attention), (c, set) =>
    {
        float[] plain = Plain(c, set);
        SocialBias steered = c.Bias;
        Try("alpha 0", (ref b) => b.Alpha = 0);
        Try("lambda infinite", (ref b) => b.Lambda = float.PositiveInfinity);
        Try("score at lambda", (ref b) =>
        {
            b.HeadScoresIn = c.Results("scores", c.Spec.B * c.Spec.H);
            new Span<float>(b.HeadScoresIn, c.Spec.B * c.Spec.H).Fill(0.25f);
            b.Lambda = 0.25f;
        });
        Replace(c, c.Bias.Keys, Modality.Visual, Modality.Audio);
        Try("no boxes", (ref b) => b.Lambda = -1);
        Replace(c, c.Bias.Keys, Modality.Audio, Modality.Visual);
        Replace(c, c.Bias.Keys, Modality.Text, Modality.Generated);
        Replace(c, c.Bias.Queries, Modality.Text, Modality.System);
        Try("nobody speaks", (ref b) => b.Lambda = -1);

        void Try(string what, Change change)
        {
            c.Bias = steered;
            change(ref c.Bias);
            c.Run(2, set);
            Same(plain, c.Output(), $"output with {what}", c);
        }
    }, spec => spec with { Roles = spec.Roles == RoleMode.None ? RoleMode.Self : spec.Roles });

    /// <summary>Given scores switch heads one by one: a head below lambda has plain bits beside an active one.</summary>
    [Fact]
    public void Given_Scores_Leave_Other_Heads_Plain() => ForAll(60, nameof(Given_Scores_Leave_Other_Heads_Plain), (c, set) =>
    {
        float[] plain = Plain(c, set);
        c.Run(2, set);
        float[] output = c.Output();
        int head = c.Spec.S * c.Spec.Dv;
        for (int h = 0; h < c.Spec.B * c.Spec.H; h += 2)
        {
            Same(plain[(h * head)..((h + 1) * head)], output[(h * head)..((h + 1) * head)], $"output of inactive head {h}", c);
        }
    }, spec => spec with { Roles = RoleMode.Self, ScoresIn = true, Lambda = 0.5f, Alpha = 1 });

    /// <summary>Rows that no aligned key is visible from, spoken or not, have plain bits in an active head.</summary>
    [Fact]
    public void Rows_Without_Aligned_Keys_Are_Plain() => ForAll(60, nameof(Rows_Without_Aligned_Keys_Are_Plain), (c, set) =>
    {
        // Speaker 0 speaks and is seen, the others only speak.
        Span<long> speakers = new(c.Bias.Keys.Speakers, c.Spec.B * c.Spec.T);
        Span<byte> modality = new(c.Bias.Keys.Modality, c.Spec.B * c.Spec.T);
        for (int i = 0; i < speakers.Length; i++)
        {
            speakers[i] = modality[i] == (byte)Modality.Visual ? 1 : speakers[i];
        }
        float[] plain = Plain(c, set);
        c.Run(2, set);
        float[] output = c.Output();
        for (int row = 0; row < c.Spec.B * c.Spec.H * c.Spec.S; row++)
        {
            int b = row / (c.Spec.H * c.Spec.S), i = row % c.Spec.S;
            bool spoken = c.Bias.TryGetSpokenRow(c.Problem, b, i, out TokenRoles roles, out int token);
            if (!spoken || (roles.Speakers[((long)b * roles.Length) + token] & 1) == 0)
            {
                Same(plain[(row * c.Spec.Dv)..((row + 1) * c.Spec.Dv)], output[(row * c.Spec.Dv)..((row + 1) * c.Spec.Dv)], $"row {row}", c);
            }
        }
    }, spec => spec with { Roles = RoleMode.Self, Alpha = 1, Lambda = -1 });

    /// <summary>Which results are wanted does not change the others.</summary>
    [Fact]
    public void Results_That_Are_Not_Wanted_Change_Nothing() => ForAll(60, nameof(Results_That_Are_Not_Wanted_Change_Nothing), (c, set) =>
    {
        c.Run(2, set);
        float[] output = c.Output(), scores = c.HeadScores(), alignment = c.Alignment(), speakers = c.SpeakerScores();
        SocialBias all = c.Bias;
        AttentionProblem problem = c.Problem;

        c.Bias = all with { HeadScores = null, Alignment = null, SpeakerScores = null };
        c.Run(2, set);
        Same(output, c.Output(), "output alone", c);

        // Without values all scores are the same numbers, but a head is not split for a bias that nobody sees.
        c.Bias = all with { Alpha = 0 };
        c.Run(2, set);
        float[] plainScores = c.HeadScores(), plainAlignment = c.Alignment(), plainSpeakers = c.SpeakerScores();
        (c.Problem.Value, c.Problem.Output) = (default, default);
        c.Run(2, set);
        Same(plainScores, c.HeadScores(), "head scores without values", c);
        Same(plainAlignment, c.Alignment(), "alignment without values", c);
        Same(plainSpeakers, c.SpeakerScores(), "speaker scores without values", c);

        c.Bias = all;
        c.Run(2, set);
        Same(scores, c.HeadScores(), "head scores without values", c);
        Same(alignment, c.Alignment(), "alignment without values", c);
        Same(speakers, c.SpeakerScores(), "speaker scores without values", c);
        c.Problem = problem;
    }, spec => spec with { Roles = RoleMode.Self, Seed = spec.Seed & ~1 });

    /// <summary>Speakers are names: whoever is called 0, the bits stay, and their scores follow them.</summary>
    [Fact]
    public void Permuting_Speakers_Changes_Nothing() => ForAll(80, nameof(Permuting_Speakers_Changes_Nothing), (c, set) =>
    {
        c.Run(2, set);
        float[] output = c.Output(), scores = c.HeadScores(), alignment = c.Alignment(), speakers = c.SpeakerScores();
        int n = c.Bias.SpeakerCount;
        Rotate(c.Bias.Keys);
        Rotate(c.Bias.Queries);
        c.Run(2, set);
        Same(output, c.Output(), "output", c);
        Same(scores, c.HeadScores(), "head scores", c);
        Same(alignment, c.Alignment(), "alignment", c);
        Same(speakers, [.. Enumerable.Range(0, speakers.Length).Select(i => c.SpeakerScores()[(i / n * n) + (((i % n) + 1) % n)])], "speaker scores", c);

        void Rotate(TokenRoles roles)
        {
            Span<long> masks = new(roles.Speakers, roles.IsEmpty ? 0 : c.Spec.B * roles.Length);
            foreach (ref long mask in masks)
            {
                mask = ((mask << 1) | (mask >> (n - 1))) & ((1L << n) - 1);
            }
        }
    }, spec => spec with { Roles = spec.Roles == RoleMode.None ? RoleMode.Self : spec.Roles, Speakers = 3, Seed = spec.Seed & ~1 });

    /// <summary>Each element of a batch alone has the bits that it has in the batch.</summary>
    [Fact]
    public void A_Batch_Is_Its_Elements() => ForAll(80, nameof(A_Batch_Is_Its_Elements), (c, set) =>
    {
        c.Run(2, set);
        float[] output = c.Output(), scores = c.HeadScores(), alignment = c.Alignment(), speakers = c.SpeakerScores();
        (AttentionProblem problem, SocialBias bias) = (c.Problem, c.Bias);
        c.ClearResults();
        for (int b = 0; b < c.Spec.B; b++)
        {
            AttentionProblem one = problem;
            SocialBias alone = bias;
            one.Batch = 1;
            one.Query = Element(problem.Query, b);
            one.Key = Element(problem.Key, b);
            one.Value = Element(problem.Value, b);
            one.Output = Element(problem.Output, b);
            one.Bias = Element(problem.Bias, b);
            one.KeyLengths = problem.KeyLengths == null ? null : problem.KeyLengths + b;
            one.QueryOffsets = problem.QueryOffsets == null ? null : problem.QueryOffsets + b;
            alone.Keys = Element(bias.Keys, b);
            alone.Queries = Element(bias.Queries, b);
            alone.HeadScoresIn = bias.HeadScoresIn == null ? null : bias.HeadScoresIn + (b * c.Spec.H);
            alone.HeadScores = bias.HeadScores == null ? null : bias.HeadScores + (b * c.Spec.H);
            alone.Alignment = bias.Alignment == null ? null : bias.Alignment + (b * c.Spec.H * 4);
            alone.SpeakerScores = bias.SpeakerScores == null ? null : bias.SpeakerScores + (b * c.Spec.H * bias.SpeakerCount);
            AttentionCpu.Run(one, alone, 2, set);
        }
        Same(output, c.Output(), "output", c);
        Same(scores, c.HeadScores(), "head scores", c);
        Same(alignment, c.Alignment(), "alignment", c);
        Same(speakers, c.SpeakerScores(), "speaker scores", c);
    }, spec => spec with { B = 3, Kv = Math.Min(spec.Kv, 2), Group = Math.Min(spec.Group, 2) });

    /// <summary>The same call again, with any number of threads: the same bits. 40 cases, 7 runs each.</summary>
    [Fact]
    public void Threads_And_Reruns_Give_The_Same_Bits() => ForAll(40, nameof(Threads_And_Reruns_Give_The_Same_Bits), (c, set) =>
    {
        c.Run(1, set);
        float[] output = c.Output(), scores = c.HeadScores(), alignment = c.Alignment(), speakers = c.SpeakerScores();
        foreach (int threads in (int[])[1, 2, 7, 3, 2, 7])
        {
            c.Run(threads, set);
            Same(output, c.Output(), $"output of {threads} threads", c);
            Same(scores, c.HeadScores(), $"head scores of {threads} threads", c);
            Same(alignment, c.Alignment(), $"alignment of {threads} threads", c);
            Same(speakers, c.SpeakerScores(), $"speaker scores of {threads} threads", c);
        }
    });

    /// <summary>One case of every kind, 200 times.</summary>
    [Fact]
    public void Two_Hundred_Reruns_Give_The_Same_Bits()
    {
        using AttentionCase c = new(
            new CaseSpec { B = 2, Kv = 2, Group = 2, S = 70, T = 140, D = 17, Dv = 9, Causal = true, Lengths = true, Roles = RoleMode.Self, Lambda = -1, Seed = 8 },
            nameof(Two_Hundred_Reruns_Give_The_Same_Bits));
        c.Run(7);
        float[] output = c.Output(), alignment = c.Alignment();
        for (int run = 0; run < 200; run++)
        {
            c.Run(7);
            Same(output, c.Output(), $"output of run {run}", c);
            Same(alignment, c.Alignment(), $"alignment of run {run}", c);
        }
    }

    /// <summary>
    /// Rows in two calls, or all but one alone: plain attention, and attention under given scores, has the same bits, as long as both calls go through
    /// blocks of rows or both through chunks of keys; else the same truth.
    /// </summary>
    [Fact]
    public void Splitting_The_Rows_Changes_Nothing() => ForAll(80, nameof(Splitting_The_Rows_Changes_Nothing), (c, set) =>
    {
        int[] offsets = [.. Enumerable.Range(0, c.Spec.B).Select(b => c.Problem.OffsetOf(b))];
        c.Run(2, set);
        float[] output = c.Output();
        (AttentionProblem problem, SocialBias bias) = (c.Problem, c.Bias);
        foreach (int cut in (int[])[1, c.Spec.S / 2, c.Spec.S - 1])
        {
            c.ClearResults();
            bool sameWay = true;
            foreach ((int first, int rows) in ((int, int)[])[(0, cut), (cut, c.Spec.S - cut)])
            {
                int[] moved = [.. offsets.Select(o => o + first)];
                fixed (int* at = moved)
                {
                    AttentionProblem part = problem with { QueryLength = rows, QueryOffsets = at };
                    part.Query = FromRow(problem.Query, first);
                    part.Output = FromRow(problem.Output, first);
                    part.Bias = FromRow(problem.Bias, first);
                    SocialBias partial = bias with { HeadScores = null, Alignment = null, SpeakerScores = null };
                    AttentionCpu.Run(part, partial, 2, set);
                    sameWay &= DecodePlan.Fits(part) == DecodePlan.Fits(problem) || rows == 0;
                }
            }
            if (sameWay)
            {
                Same(output, c.Output(), $"output of rows cut at {cut}", c);
            }
            else
            {
                Tolerance.Check(
                    "output", c.Output(), AttentionReference.Run<double>(problem, bias).Output, n => AttentionReference.Run<float>(problem, bias, n).Output, c.Spec.Type, c.Repro);
            }
        }
    }, spec => spec with { Roles = spec.ScoresIn && spec.Roles != RoleMode.None ? RoleMode.Self : RoleMode.None, Lambda = Math.Min(spec.Lambda, 0.5f) });

    /// <summary>The order of keys says nothing where no mask does: keys, values, roles and bias permuted together stay within the tolerance of the same truth.</summary>
    [Fact]
    public void The_Order_Of_Keys_Does_Not_Matter() => ForAll(50, nameof(The_Order_Of_Keys_Does_Not_Matter), (c, set) =>
    {
        // Scores decide by given numbers, so that no rounding flips a head.
        AttentionReferenceResult<double> truth = AttentionReference.Run<double>(c.Problem, c.Bias);
        CaseSpec spec = c.Spec;
        int[] order = [.. Enumerable.Range(0, spec.T)];
        new Random(spec.Seed).Shuffle(order);
        Permute(c.Problem.Key, spec.Kv, spec.D);
        Permute(c.Problem.Value, spec.Kv, spec.Dv);
        for (int b = 0; b < spec.B && !c.Bias.Keys.IsEmpty; b++)
        {
            Span<byte> modality = new(c.Bias.Keys.Modality + (b * spec.T), spec.T);
            Span<long> speakers = new(c.Bias.Keys.Speakers + (b * spec.T), spec.T), frames = new((long*)c.Bias.Keys.Frames + (b * spec.T), spec.T);
            (byte[] m, long[] s, long[] f) = (modality.ToArray(), speakers.ToArray(), frames.ToArray());
            for (int j = 0; j < spec.T; j++)
            {
                (modality[j], speakers[j], frames[j]) = (m[order[j]], s[order[j]], f[order[j]]);
            }
        }
        c.Run(2, set);
        Tolerance.Check("output", c.Output(), truth.Output, n => AttentionReference.Run<float>(c.Problem, c.Bias, n).Output, spec.Type, c.Repro);
        Tolerance.Check("head scores", c.HeadScores(), truth.HeadScores[..c.HeadScores().Length], n => AttentionReference.Run<float>(c.Problem, c.Bias, n).HeadScores, ElementType.Float32, c.Repro);

        void Permute(TensorView tensor, int heads, int size)
        {
            int element = tensor.Type.Size();
            for (int b = 0; b < spec.B; b++)
            {
                for (int h = 0; h < heads; h++)
                {
                    byte[][] rows = [.. order.Select(j => new Span<byte>((byte*)tensor.Data + (tensor.Offset(b, h, j) * element), size * element).ToArray())];
                    for (int j = 0; j < rows.Length; j++)
                    {
                        rows[j].CopyTo(new Span<byte>((byte*)tensor.Data + (tensor.Offset(b, h, j) * element), size * element));
                    }
                }
            }
        }
    }, spec => spec with
    {
        Causal = false,
        Window = 0,
        Lengths = false,
        Bias = false,
        Roles = spec.Roles == RoleMode.None ? RoleMode.None : RoleMode.Cross,
        ScoresIn = true,
        Lambda = 0.5f,
        Logits = spec.Logits == LogitMode.NaNInMaskedRows ? LogitMode.Normal : spec.Logits,
    });

    /// <summary>
    /// A constant added to every key (the bias of a key projection) moves all logits of a row alike. Plain attention stays, the social bias changes: the
    /// engine does what the reference does.
    /// </summary>
    [Fact]
    public void Shifted_Logits_Change_Only_The_Bias() => ForAll(40, nameof(Shifted_Logits_Change_Only_The_Bias), (c, set) =>
    {
        AttentionReferenceResult<double> steered = AttentionReference.Run<double>(c.Problem, c.Bias), plain = AttentionReference.Run<double>(c.Problem, default);
        for (int b = 0; b < c.Spec.B; b++)
        {
            for (int h = 0; h < c.Spec.Kv; h++)
            {
                for (int s = 0; s < c.Spec.T; s++)
                {
                    foreach (ref float x in new Span<float>(c.Problem.Key.Float(b, h, s), c.Spec.D))
                    {
                        x += 0.5f;
                    }
                }
            }
        }
        c.Run(2, set);
        c.Check();
        AttentionReferenceResult<double> shifted = AttentionReference.Run<double>(c.Problem, c.Bias);
        double moved = Largest(plain.Output, AttentionReference.Run<double>(c.Problem, default).Output);
        Assert.True(moved < 1e-4, $"plain attention moved by {moved}; {c.Repro}");
        bool biased = steered.Alignment.Chunk(4).Any(a => a[1] > a[0] + 1e-3);
        Assert.True(!biased || Largest(steered.Output, shifted.Output) > 10 * moved, $"the bias did not move; {c.Repro}");

        static double Largest(double[] x, double[] y) => x.Zip(y, (a, b) => Math.Abs(a - b)).Append(0).Max();
    }, spec => spec with
    {
        Roles = RoleMode.Self,
        Type = ElementType.Float32,
        Softcap = 0,
        Lambda = -1,
        Alpha = 1,
        Sink = false,
        Logits = LogitMode.Normal,
        S = Math.Max(spec.S, Math.Min(spec.T, 8)),
    });

    /// <summary>NaN in keys and values that a row does not see leaves its bits alone; the rows that see it are NaN.</summary>
    [Fact]
    public void NaN_Stays_Where_It_Is_Not_Seen() => ForAll(120, nameof(NaN_Stays_Where_It_Is_Not_Seen), (c, set) =>
    {
        c.Run(2, set);
        float[] clean = c.Output();
        Random random = new(c.Spec.Seed);
        bool inKey = random.Next(2) == 0, everywhere = random.Next(2) == 0;
        float poison = random.Next(3) == 0 ? float.PositiveInfinity : float.NaN;
        int at = random.Next(c.Spec.T);
        TensorView target = inKey ? c.Problem.Key : c.Problem.Value;
        int size = inKey ? c.Spec.D : c.Spec.Dv;
        for (int b = 0; b < c.Spec.B; b++)
        {
            for (int h = 0; h < c.Spec.Kv; h++)
            {
                for (int d = 0; d < (everywhere ? size : 1); d++)
                {
                    Store(target, target.Offset(b, h, at) + d, poison);
                }
            }
        }
        c.Run(2, set);
        float[] output = c.Output();
        for (int row = 0; row < c.Spec.B * c.Spec.H * c.Spec.S; row++)
        {
            int b = row / (c.Spec.H * c.Spec.S), h = row / c.Spec.S % c.Spec.H, i = row % c.Spec.S;
            (int first, int end) = c.Problem.VisibleKeys(b, c.Problem.OffsetOf(b) + i);
            bool seen = at >= first && at < end && (c.Problem.Bias.IsEmpty || !float.IsNegativeInfinity(c.Problem.Bias.Load(b, h, i, at)));
            Span<float> actual = output.AsSpan(row * c.Spec.Dv, c.Spec.Dv);
            if (!seen)
            {
                Same(clean[(row * c.Spec.Dv)..((row + 1) * c.Spec.Dv)], actual.ToArray(), $"row {row}, which does not see key {at}", c);
            }
            else if (float.IsNaN(poison))
            {
                int all = inKey || everywhere ? c.Spec.Dv : 1;
                Assert.True(actual[..all].IndexOfAnyExcept(float.NaN) < 0, $"row {row} sees NaN at key {at} and does not show it; {c.Repro}");
            }
        }
    }, spec => spec with { Roles = RoleMode.None, Logits = LogitMode.Normal });

    /// <summary>With roles, every result shows or hides NaN as the reference does.</summary>
    [Fact]
    public void NaN_Shows_In_Scores_As_In_The_Reference() => ForAll(80, nameof(NaN_Shows_In_Scores_As_In_The_Reference), (c, set) =>
    {
        Random random = new(c.Spec.Seed);
        int at = random.Next(c.Spec.T), b = random.Next(c.Spec.B), h = random.Next(c.Spec.Kv);
        bool inKey = random.Next(3) > 0;
        Store(inKey ? c.Problem.Key : c.Problem.Value, (inKey ? c.Problem.Key : c.Problem.Value).Offset(b, h, at), float.NaN);
        c.Run(2, set);
        c.Check();
    }, spec => spec with { Roles = spec.Roles == RoleMode.None ? RoleMode.Self : spec.Roles, Logits = LogitMode.Normal });

    /// <summary>
    /// float16: a sink key outweighs the boxed class by e^25, and the bias lifts that class to the same height. With one common maximum in half precision
    /// it would be gone.
    /// </summary>
    [Fact]
    public void A_Class_Below_A_Sink_By_E25_Comes_Back_Exactly()
    {
        CaseSpec spec = new() { B = 1, S = 4, T = 100, D = 8, Dv = 8, Type = ElementType.Float16, Roles = RoleMode.Self, Lambda = -1, Alpha = 24, Seed = 4 };
        using AttentionCase c = new(spec, nameof(A_Class_Below_A_Sink_By_E25_Comes_Back_Exactly));
        // Logits: 26 at the sink, about 1 on boxed keys (so b = 24 to 25), about 0 on the rest.
        c.Problem.Scale = 1;
        Random random = new(1);
        for (int s = 0; s < spec.T; s++)
        {
            bool boxed = s is >= 20 and < 60;
            for (int d = 0; d < spec.D; d++)
            {
                Store(c.Problem.Key, c.Problem.Key.Offset(0, 0, s) + d, d > 0 ? 0 : s == 0 ? 26 : boxed ? 0.9f + (0.1f * random.NextSingle()) : random.NextSingle());
            }
            c.Bias.Keys.Modality[s] = boxed ? (byte)Modality.Visual : s >= 96 ? (byte)Modality.Text : (byte)Modality.System;
            (c.Bias.Keys.Speakers[s], c.Bias.Keys.Frames[2 * s], c.Bias.Keys.Frames[(2 * s) + 1]) = (1, 0, 1);
        }
        for (int i = 0; i < spec.S; i++)
        {
            for (int d = 0; d < spec.D; d++)
            {
                Store(c.Problem.Query, c.Problem.Query.Offset(0, 0, i) + d, d == 0 ? 1 : 0);
            }
        }
        foreach (InstructionSet set in Sets)
        {
            c.Run(1, set);
            c.Check();
            float[] alignment = c.Alignment();
            Assert.InRange(alignment[0] * 40, 1e-12, 1e-8);
            Assert.InRange(alignment[1] * 40, 0.5, 1);
        }
    }

    /// <summary>Rows of extreme logits, in one call each: all huge, all hugely negative, one spike, all equal, one pair that ties.</summary>
    [Theory]
    [InlineData(1e4f, 1e4f, 1e4f)]
    [InlineData(-2.5e5f, -2.5e5f, -2.5e5f)]
    [InlineData(-2.5e5f, 1e4f, -2.5e5f)]
    [InlineData(0f, 88f, -88f)]
    [InlineData(0f, 87.3f, 0f)]
    [InlineData(-3e38f, 0f, 1f)]
    [InlineData(-3e38f, -3e38f, -3e38f)]
    [InlineData(3e38f, 3e38f, -3e38f)]
    [InlineData(1e-40f, -1e-40f, 0f)]
    public void Extreme_Logits_Are_Exact(float even, float spike, float odd)
    {
        foreach (InstructionSet set in Sets)
        {
            foreach (RoleMode roles in (RoleMode[])[RoleMode.None, RoleMode.Self])
            {
                CaseSpec spec = new() { S = 130, T = 130, D = 1, Dv = 3, Causal = true, Roles = roles, Lambda = -1, Seed = 12 };
                using AttentionCase c = new(spec, $"{nameof(Extreme_Logits_Are_Exact)} {even} {spike} {odd}");
                c.Problem.Scale = 1;
                for (int s = 0; s < spec.T; s++)
                {
                    *c.Problem.Query.Float(0, 0, s) = 1;
                    *c.Problem.Key.Float(0, 0, s) = s == 70 ? spike : s % 2 == 0 ? even : odd;
                }
                c.Run(2, set);
                c.Check();
            }
        }
    }

    /// <summary>+inf in the additive bias makes the row NaN, -inf hides the key, all -inf gives 0.</summary>
    [Fact]
    public void Infinite_Bias_Is_A_Mask_Or_An_Error()
    {
        foreach (InstructionSet set in Sets)
        {
            foreach (RoleMode roles in (RoleMode[])[RoleMode.None, RoleMode.Self])
            {
                CaseSpec spec = new() { S = 9, T = 90, D = 7, Dv = 5, Bias = true, Roles = roles, Lambda = -1, Seed = 3, Sink = true };
                using AttentionCase c = new(spec, nameof(Infinite_Bias_Is_A_Mask_Or_An_Error));
                c.Problem.Bias.Float(0, 0, 2)[85] = float.PositiveInfinity;
                new Span<float>(c.Problem.Bias.Float(0, 0, 5), spec.T).Fill(float.NegativeInfinity);
                c.Problem.Bias.Float(0, 0, 7)[0] = float.NaN;
                c.Run(2, set);
                c.Check();
                float[] output = c.Output();
                Assert.All(output[(2 * 5)..(3 * 5)], x => Assert.Equal(float.NaN, x));
                Assert.All(output[(5 * 5)..(6 * 5)], x => Assert.Equal(0, x));
                Assert.All(output[(7 * 5)..(8 * 5)], x => Assert.Equal(float.NaN, x));
            }
        }
    }

    /// <summary>No batch, no rows, no keys: nothing is written but zeros that are asked for.</summary>
    [Theory]
    [InlineData(0, 3, 5)]
    [InlineData(2, 0, 5)]
    [InlineData(2, 3, 0)]
    [InlineData(0, 0, 0)]
    public void Nothing_To_Do_Is_Done(int batch, int rows, int keys)
    {
        foreach (RoleMode roles in (RoleMode[])[RoleMode.None, RoleMode.Self, RoleMode.Cross])
        {
            using AttentionCase c = new(new CaseSpec { B = batch, Kv = 2, Group = 3, S = rows, T = keys, Roles = roles, Seed = 2 }, nameof(Nothing_To_Do_Is_Done));
            foreach (InstructionSet set in Sets)
            {
                c.Run(2, set);
                c.Check();
                Assert.All(c.Output(), x => Assert.Equal(0, x));
                Assert.All(c.HeadScores().Concat(c.Alignment()).Concat(c.SpeakerScores()), x => Assert.Equal(0, x));
            }
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(256, 256)]
    [InlineData(300, 300)]
    [InlineData(300, 1)]
    [InlineData(1, 515)]
    public void Any_Head_Size_Works(int size, int valueSize)
    {
        foreach (InstructionSet set in Sets)
        {
            foreach (ElementType type in Enum.GetValues<ElementType>())
            {
                CaseSpec spec = new() { Kv = 2, Group = 2, S = 33, T = 70, D = size, Dv = valueSize, Type = type, Causal = true, Roles = RoleMode.Self, Lambda = -1, Seed = 6 };
                using AttentionCase c = new(spec, nameof(Any_Head_Size_Works));
                c.Run(2, set);
                c.Check();
            }
        }
    }

    [Fact]
    public void Scratch_That_Is_Small_Or_Askew_Is_Refused()
    {
        using AttentionCase c = new(new CaseSpec { S = 20, T = 40, Roles = RoleMode.Self, Seed = 3 }, nameof(Scratch_That_Is_Small_Or_Askew_Is_Refused));
        ThreadPoolWorkers workers = new(2);
        nuint bytes = AttentionCpu.ScratchBytes(c.Problem, c.Bias, workers.Degree);
        void* scratch = NativeMemory.AlignedAlloc(bytes + 64, 64);
        try
        {
            Assert.Contains($"scratch is {bytes - 1} bytes", Refused(scratch, bytes - 1), StringComparison.Ordinal);
            Assert.Contains("aligned to 64", Refused((byte*)scratch + 4, bytes), StringComparison.Ordinal);
            AttentionCpu.Run(c.Problem, c.Bias, workers, scratch, bytes, InstructionSets.Current);
            c.Check();
        }
        finally
        {
            NativeMemory.AlignedFree(scratch);
        }

        string Refused(void* memory, nuint length) =>
            Assert.Throws<ArgumentException>(() => AttentionCpu.Run(c.Problem, c.Bias, workers, memory, length, InstructionSets.Current)).Message;
    }

    /// <summary>The engine stays inside the scratch memory that it asked for.</summary>
    [Fact]
    public void Scratch_Has_Intact_Margins() => ForAll(100, nameof(Scratch_Has_Intact_Margins), (c, set) =>
    {
        ThreadPoolWorkers workers = new(3);
        nuint bytes = AttentionCpu.ScratchBytes(c.Problem, c.Bias, workers.Degree);
        using GuardedBuffer scratch = new((long)bytes);
        c.ClearResults();
        AttentionCpu.Run(c.Problem, c.Bias, workers, scratch.Data, bytes, set);
        scratch.CheckMargins("scratch", c.Repro);
        float[] output = c.Output();
        c.Run(1, set);
        Same(output, c.Output(), "output on memory that was full of NaN", c);
    });

    /// <summary>28 heads of 128 at 8192 rows, 400 of them spoken: a score matrix would be 7.5 GB, the output is 117 MB.</summary>
    [Fact]
    public void Extra_Memory_Is_Linear()
    {
        nuint all = Bytes(8192, 400);
        Assert.InRange(all, 1u << 20, 64u << 20);
        // Twice the rows and keys, the same spoken rows: only per-token bookkeeping grows.
        Assert.InRange(Bytes(16384, 400) - all, 0u, 1u << 20);

        static nuint Bytes(int tokens, int spoken)
        {
            byte[] modality = new byte[tokens];
            long[] speakers = new long[tokens];
            int[] frames = new int[2 * tokens];
            Array.Fill(modality, (byte)Modality.Visual);
            Array.Fill(modality, (byte)Modality.Text, tokens - spoken, spoken);
            Array.Fill(speakers, 1);
            fixed (byte* m = modality)
            fixed (long* s = speakers)
            fixed (int* f = frames)
            {
                TensorView some = TensorView.Bhsd(m, ElementType.Float32, 28, tokens, 128);
                AttentionProblem problem = new()
                {
                    Batch = 1,
                    Heads = 28,
                    KvHeads = 4,
                    QueryLength = tokens,
                    KeyLength = tokens,
                    HeadSize = 128,
                    ValueHeadSize = 128,
                    Query = some,
                    Key = some,
                    Value = some,
                    Output = some,
                };
                SocialBias bias = new() { Keys = new TokenRoles { Modality = m, Speakers = s, Frames = f, Length = tokens }, Alpha = 1 };
                return AttentionCpu.ScratchBytes(problem, bias, 8);
            }
        }
    }

    private delegate void Change(ref SocialBias bias);

    private static void ForAll(int cases, string test, Action<AttentionCase, InstructionSet> law, Func<CaseSpec, CaseSpec>? restrict = null) =>
        Properties.ForAll(cases, spec =>
        {
            using AttentionCase c = new(spec, test);
            law(c, Sets[spec.Seed / 2 % Sets.Length]);
        }, salt: (ulong)test.Sum(letter => letter), restrict);

    private static float[] Plain(AttentionCase c, InstructionSet set)
    {
        SocialBias bias = c.Bias;
        c.Bias = default;
        c.Run(2, set);
        c.Bias = bias;
        return c.Output();
    }

    private static void Same(float[] expected, float[] actual, string what, AttentionCase c)
    {
        if (expected.Length == actual.Length && MemoryMarshal.AsBytes<float>(expected).SequenceEqual(MemoryMarshal.AsBytes<float>(actual)))
        {
            return;
        }
        int i = Enumerable.Range(0, expected.Length).First(n => BitConverter.SingleToInt32Bits(expected[n]) != BitConverter.SingleToInt32Bits(actual[n]));
        Assert.Fail($"{what}: [{i}] is {actual[i]:R}, expected the bits of {expected[i]:R}; {c.Repro}");
    }

    private static void Replace(AttentionCase c, TokenRoles roles, Modality from, Modality to) =>
        new Span<byte>(roles.Modality, roles.IsEmpty ? 0 : c.Spec.B * roles.Length).Replace((byte)from, (byte)to);

    private static TensorView Element(TensorView tensor, int b) => tensor.IsEmpty ? tensor : At(tensor, b * tensor.BatchStride);

    private static TensorView FromRow(TensorView tensor, int row) => tensor.IsEmpty ? tensor : At(tensor, row * tensor.RowStride);

    private static TensorView At(TensorView tensor, long offset) =>
        new((byte*)tensor.Data + (offset * (tensor.Type.Size())), tensor.Type, tensor.BatchStride, tensor.HeadStride, tensor.RowStride);

    private static TokenRoles Element(TokenRoles roles, int b) => roles.IsEmpty
        ? roles
        : roles with { Modality = roles.Modality + (b * roles.Length), Speakers = roles.Speakers + (b * roles.Length), Frames = roles.Frames + (b * roles.Length * 2) };

    private static void Store(TensorView tensor, long at, float value) => tensor.Type.Store(tensor.Data, at, value);
}
