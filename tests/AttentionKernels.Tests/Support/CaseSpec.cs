using AttentionKernels.Tests.Cuda;
using FsCheck;
using FsCheck.Fluent;

namespace AttentionKernels.Tests.Support;

/// <summary>Which roles a random case has.</summary>
public enum RoleMode
{
    None,
    Self,
    Cross,
}

/// <summary>How the tensors of a random case lie in memory.</summary>
public enum LayoutMode
{
    HeadsFirst,
    RowsFirst,
    Padded,
}

/// <summary>What the logits of a random case look like.</summary>
public enum LogitMode
{
    Normal,
    Large,
    Sink,
    Flat,
    NaNInMaskedRows,
}

/// <summary>
/// One random attention problem in a form that prints, parses and shrinks. Everything else follows from these numbers and the seed.
/// </summary>
public sealed record CaseSpec
{
    public int B { get; init; } = 1;

    public int Kv { get; init; } = 1;

    public int Group { get; init; } = 1;

    public int S { get; init; } = 1;

    public int T { get; init; } = 1;

    public int D { get; init; } = 8;

    public int Dv { get; init; } = 8;

    public ElementType Type { get; init; }

    public bool Causal { get; init; }

    public int Window { get; init; }

    public float Softcap { get; init; }

    public bool Bias { get; init; }

    public bool BiasPerBatch { get; init; }

    public bool BiasPerHead { get; init; }

    public bool Sink { get; init; }

    public bool Lengths { get; init; }

    /// <summary>Keys of T that come as past keys; only when run as an operator.</summary>
    public int Past { get; init; }

    public LayoutMode Layout { get; init; }

    public LogitMode Logits { get; init; }

    public RoleMode Roles { get; init; }

    public float Alpha { get; init; } = 1;

    public float Lambda { get; init; } = 5e-5f;

    public bool Clamp { get; init; }

    public bool ScoresIn { get; init; }

    public int Speakers { get; init; } = 3;

    public int Seed { get; init; }

    public int H => Kv * Group;

    /// <summary>Random cases: odd sizes, sizes around the tile of 64, every option.</summary>
    public static Arbitrary<CaseSpec> Arbitrary { get; } = Arb.From(Generator(), Shrink);

    /// <summary>One line that brings a failing case back.</summary>
    public string Repro(string test) => TestDevice.Ordinal is int device
        ? $"replay with: {TestDevice.Variable}={device} ATTNK_CASE=\"{this}\" ./AttentionKernels.Tests -method \"*.{test}\""
        : $"replay with: ATTNK_CASE=\"{this}\" dotnet test -c Release --filter {test}";

    public override string ToString() => SpecText.Of(this);

    private static Gen<CaseSpec> Generator()
    {
        Gen<int> length = Gen.Frequency(
            (4, Gen.Choose(1, 20)), (3, Gen.Choose(21, 90)), (2, Gen.Elements(63, 64, 65, 127, 128, 129, 131)), (1, Gen.Choose(130, 300)));
        Gen<bool> coin = Gen.Elements(true, false);
        Gen<bool> seldom = Gen.Frequency((4, Gen.Constant(false)), (1, Gen.Constant(true)));
        return
            from b in Gen.Elements(1, 1, 2, 3)
            from kv in Gen.Elements(1, 2, 3)
            from @group in Gen.Elements(1, 1, 2, 7)
            from keys in length
            from rows in length
            from fewRows in seldom
            from d in Gen.Elements(1, 7, 8, 16, 17, 40, 64, 80, 128)
            from dv in Gen.Elements(0, 0, 0, 5, 24)
            from type in Gen.Frequency((4, Gen.Constant(ElementType.Float32)), (1, Gen.Constant(ElementType.Float16)), (1, Gen.Constant(ElementType.BFloat16)))
            from causal in coin
            from window in Gen.Frequency((4, Gen.Constant(0)), (1, Gen.Choose(1, 100)))
            from softcap in Gen.Elements(0f, 0f, 0f, 5f, 50f)
            from bias in seldom
            from biasPerBatch in coin
            from biasPerHead in coin
            from sink in seldom
            from lengths in seldom
            from past in Gen.Frequency((2, Gen.Constant(0)), (1, Gen.Choose(0, 100)))
            from layout in Gen.Elements(LayoutMode.HeadsFirst, LayoutMode.RowsFirst, LayoutMode.Padded)
            from logits in Gen.Frequency(
                (5, Gen.Constant(LogitMode.Normal)), (1, Gen.Constant(LogitMode.Large)), (2, Gen.Constant(LogitMode.Sink)),
                (1, Gen.Constant(LogitMode.Flat)), (1, Gen.Constant(LogitMode.NaNInMaskedRows)))
            from roles in Gen.Elements(RoleMode.None, RoleMode.Self, RoleMode.Self, RoleMode.Self, RoleMode.Cross)
            from alpha in Gen.Elements(0f, 1f, 1f, 1f, 0.5f, 2f, -1f)
            from lambda in Gen.Elements(5e-5f, 5e-5f, 0.01f, 0.003f, -1f, float.PositiveInfinity)
            from clamp in coin
            from scoresIn in seldom
            from speakers in Gen.Elements(1, 3, 5, 63)
            from seed in Gen.Choose(0, 1_000_000)
            select Limit(new CaseSpec
            {
                B = b,
                Kv = kv,
                Group = @group,
                T = keys,
                // Without roles of their own, rows stand at the end of the keys.
                S = fewRows ? Math.Min(3, keys) : roles == RoleMode.Cross ? rows : Math.Min(rows, keys),
                D = d,
                Dv = dv == 0 ? d : dv,
                Type = type,
                Causal = causal,
                Window = window,
                Softcap = softcap,
                Bias = bias,
                BiasPerBatch = biasPerBatch,
                BiasPerHead = biasPerHead,
                Sink = sink,
                Lengths = lengths,
                Past = keys * past / 100,
                Layout = layout,
                Logits = logits,
                Roles = roles,
                Alpha = alpha,
                Lambda = lambda,
                Clamp = clamp,
                ScoresIn = scoresIn,
                Speakers = speakers,
                Seed = seed,
            });
    }

    /// <summary>Keeps a case under 2 million products, so that thousands of them run in a minute: long sequences with few heads, many heads with short ones.</summary>
    private static CaseSpec Limit(CaseSpec c)
    {
        const long Most = 2_000_000;
        long one = (long)c.S * c.T * (c.D + c.Dv);
        c = one * c.B * c.H > Most ? c with { B = 1 } : c;
        c = one * c.H > Most ? c with { Kv = 1 } : c;
        return one * c.H > Most ? c with { Group = Math.Min(c.Group, 2) } : c;
    }

    private static IEnumerable<CaseSpec> Shrink(CaseSpec c)
    {
        CaseSpec[] simpler =
        [
            c with { B = 1 }, c with { Kv = 1 }, c with { Group = 1 }, c with { S = Math.Max(1, c.S / 2) }, c with { S = Math.Max(1, c.S - 1) },
            c with { T = Math.Max(c.Roles == RoleMode.Cross ? 1 : c.S, c.T / 2) }, c with { T = Math.Max(c.Roles == RoleMode.Cross ? 1 : c.S, c.T - 1) },
            c with { D = c.D > 8 ? 8 : 1 }, c with { Dv = c.Dv > 8 ? 8 : 1 }, c with { Type = ElementType.Float32 }, c with { Causal = false }, c with { Window = 0 },
            c with { Softcap = 0 }, c with { Bias = false }, c with { Sink = false }, c with { Lengths = false }, c with { Past = 0 },
            c with { Layout = LayoutMode.HeadsFirst }, c with { Logits = LogitMode.Normal }, c with { Roles = RoleMode.None },
            c with { Alpha = 1 }, c with { Clamp = false }, c with { ScoresIn = false }, c with { Speakers = 1 },
        ];
        return simpler.Where(s => s != c);
    }
}
