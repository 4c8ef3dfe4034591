using AttentionKernels.Tests.Support;
using FsCheck;
using FsCheck.Fluent;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>Which attn_mask a node has.</summary>
public enum MaskMode
{
    None,
    Bool,
    Additive,
}

/// <summary>One random ai.onnx Attention node in a form that prints, parses and shrinks.</summary>
public sealed record OnnxAttentionSpec
{
    public int B { get; init; } = 1;

    public int Kv { get; init; } = 1;

    public int Group { get; init; } = 1;

    public int S { get; init; } = 1;

    public int NewKeys { get; init; } = 1;

    /// <summary>Rows of past_key; 0: none.</summary>
    public int Past { get; init; }

    public int D { get; init; } = 8;

    public int Dv { get; init; } = 8;

    public ElementType Type { get; init; }

    /// <summary>Inputs [B, S, H * D] instead of [B, H, S, D].</summary>
    public bool Flat { get; init; }

    public bool Causal { get; init; }

    public MaskMode Mask { get; init; }

    public int MaskRank { get; init; } = 4;

    public bool MaskPerBatch { get; init; }

    public bool MaskPerHead { get; init; }

    public bool MaskPerRow { get; init; } = true;

    /// <summary>Keys by which the mask is shorter than T.</summary>
    public int MaskLacks { get; init; }

    /// <summary>nonpad_kv_seqlen; only without a past.</summary>
    public bool Lengths { get; init; }

    /// <summary>0: no attribute.</summary>
    public float Scale { get; init; }

    public float Softcap { get; init; }

    /// <summary>left_window_size.</summary>
    public int Left { get; init; } = -1;

    /// <summary>right_window_size.</summary>
    public int Right { get; init; } = -1;

    /// <summary>qk_matmul_output_mode; -1: no such output.</summary>
    public int Mode { get; init; } = -1;

    /// <summary>Whether the node lists present_key and present_value.</summary>
    public bool Present { get; init; }

    /// <summary>Whether a value is NaN, of a key that some rows or all do not see.</summary>
    public bool Poison { get; init; }

    public int Seed { get; init; }

    public int H => Kv * Group;

    public int T => Past + NewKeys;

    public override string ToString() => SpecText.Of(this);

    public static Arbitrary<OnnxAttentionSpec> Arbitrary { get; } = Arb.From(Generator(), Shrink);

    private static Gen<OnnxAttentionSpec> Generator()
    {
        Gen<bool> coin = Gen.Elements(true, false);
        Gen<bool> seldom = Gen.Frequency((4, Gen.Constant(false)), (1, Gen.Constant(true)));
        Gen<int> length = Gen.Frequency((5, Gen.Choose(1, 12)), (2, Gen.Choose(13, 80)), (1, Gen.Elements(63, 64, 65, 129)));
        return
            from b in Gen.Elements(1, 2, 3)
            from kv in Gen.Elements(1, 2, 3)
            from @group in Gen.Elements(1, 1, 2, 4)
            from rows in length
            from keys in length
            from past in Gen.Frequency((2, Gen.Constant(0)), (1, Gen.Choose(1, 40)))
            from d in Gen.Elements(1, 4, 8, 17, 64)
            from dv in Gen.Elements(0, 0, 3, 24)
            from type in Gen.Frequency((3, Gen.Constant(ElementType.Float32)), (1, Gen.Constant(ElementType.Float16)), (1, Gen.Constant(ElementType.BFloat16)))
            from flat in coin
            from causal in coin
            from mask in Gen.Elements(MaskMode.None, MaskMode.Bool, MaskMode.Additive)
            from rank in Gen.Choose(1, 4)
            from perBatch in coin
            from perHead in coin
            from perRow in Gen.Elements(true, true, false)
            from lacks in Gen.Frequency((3, Gen.Constant(0)), (1, Gen.Choose(0, 20)))
            from lengths in coin
            from scale in Gen.Elements(0f, 0f, 1f, 0.03f)
            from softcap in Gen.Elements(0f, 0f, 2f, 50f)
            from left in Gen.Frequency((5, Gen.Constant(-1)), (1, Gen.Choose(0, 30)))
            from right in Gen.Frequency((5, Gen.Constant(-1)), (1, Gen.Constant(0)))
            from mode in Gen.Choose(-1, 3)
            from present in coin
            from poison in seldom
            from seed in Gen.Choose(0, 1_000_000)
            select new OnnxAttentionSpec
            {
                B = b,
                Kv = kv,
                Group = @group,
                S = rows,
                NewKeys = keys,
                Past = past,
                D = d,
                Dv = dv == 0 ? d : dv,
                Type = type,
                Flat = flat,
                Causal = causal,
                Mask = mask,
                MaskRank = rank,
                MaskPerBatch = perBatch,
                MaskPerHead = perHead,
                MaskPerRow = perRow,
                MaskLacks = Math.Min(lacks, keys + past - 1),
                Lengths = lengths && past == 0,
                Scale = scale,
                Softcap = softcap,
                Left = left,
                Right = right,
                Mode = mode,
                Present = present,
                Poison = poison && mask != MaskMode.None,
                Seed = seed,
            };
    }

    private static IEnumerable<OnnxAttentionSpec> Shrink(OnnxAttentionSpec c)
    {
        OnnxAttentionSpec[] simpler =
        [
            c with { B = 1 }, c with { Kv = 1 }, c with { Group = 1 }, c with { S = Math.Max(1, c.S / 2) }, c with { S = Math.Max(1, c.S - 1) },
            c with { NewKeys = Math.Max(1, c.NewKeys / 2), MaskLacks = 0 }, c with { NewKeys = Math.Max(1, c.NewKeys - 1), MaskLacks = 0 }, c with { Past = c.Past / 2, MaskLacks = 0 },
            c with { D = c.D > 8 ? 8 : 1 }, c with { Dv = c.Dv > 8 ? 8 : 1 }, c with { Type = ElementType.Float32 }, c with { Flat = false }, c with { Causal = false },
            c with { Mask = MaskMode.None, Poison = false }, c with { MaskRank = 4 }, c with { MaskPerBatch = false }, c with { MaskPerHead = false }, c with { MaskPerRow = true },
            c with { MaskLacks = 0 }, c with { Lengths = false }, c with { Scale = 0 }, c with { Softcap = 0 }, c with { Left = -1 }, c with { Right = -1 },
            c with { Mode = -1 }, c with { Present = false }, c with { Poison = false },
        ];
        return simpler.Where(s => s != c);
    }
}
