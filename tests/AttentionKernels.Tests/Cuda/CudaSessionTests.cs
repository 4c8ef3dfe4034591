using AttentionKernels.Cuda;
using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.OnnxRuntime.Ops;
using AttentionKernels.Reference;
using AttentionKernels.Tests.OnnxRuntime.Ops;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cuda;

/// <summary>Operators of the CUDA provider in sessions, their kernels emulated: every input that the device takes, against the float64 reference.</summary>
[Collection(CudaCollection.Name)]
public sealed unsafe class CudaSessionTests : IDisposable
{
    private const string Domain = "test.cuda";

    private readonly EmulatedDevice _device;

    public CudaSessionTests(StubDriver stub)
    {
        Environment.SetEnvironmentVariable(CudaDriver.Variable, stub.Path);
        _device = new EmulatedDevice(stub, everywhere: true);
    }

    public void Dispose()
    {
        Environment.SetEnvironmentVariable(CudaDriver.Variable, null);
        _device.Dispose();
    }

    /// <summary>Sinks of every type among them.</summary>
    [Fact]
    public void SteeredAttention_Meets_The_Reference() => Properties.ForAll(16, spec =>
    {
        using AttentionCase c = new(spec, nameof(SteeredAttention_Meets_The_Reference), asOperator: true);
        RoundSinks(c);
        using OpNode node = OnDevice(OpCase.SteeredAttention(c));
        Dictionary<string, float[]> results = node.Run();
        (double output, double scores) = CudaTolerance.Extra(c);
        bool hasRoles = !c.Bias.Keys.IsEmpty;
        c.Check(OpCase.HeadsFirst(results["output"], spec), hasRoles ? results["head_scores"] : [], hasRoles ? results["alignment"] : [], null, output, scores);
    }, salt: 901, restrict: spec => Small(spec) with { Sink = true });

    /// <summary>Prompts and single elements behind a past, sinks of every type.</summary>
    [Fact]
    public void GroupQueryAttention_Meets_The_Reference() => Properties.ForAll(16, spec =>
    {
        using AttentionCase c = new(spec, nameof(GroupQueryAttention_Meets_The_Reference), asOperator: true);
        RoundSinks(c);
        using OpNode node = OnDevice(OpCase.GroupQueryAttention(c));
        c.Check(OpCase.HeadsFirst(node.Run()["output"], spec), [], [], null, CudaTolerance.Extra(c).Output);
    }, salt: 902, restrict: spec =>
    {
        CaseSpec small = Small(spec);
        int past = small.T > small.S ? small.T - small.S : 0;
        return small with { Sink = true, Roles = RoleMode.None, Past = past, S = small.T - past, Window = small.Causal ? small.Window : 0 };
    });

    /// <summary>Scores of heads and of speakers; words that several speak among them.</summary>
    [Fact]
    public void CrossModalHeadScores_Meets_The_Reference() => Properties.ForAll(16, spec =>
    {
        using AttentionCase c = new(spec, nameof(CrossModalHeadScores_Meets_The_Reference), asOperator: true, scoresOnly: true);
        c.Bias.SpeakerCount = spec.Speakers;
        c.Bias.Alignment = null;
        using OpNode node = OnDevice(OpCase.CrossModalHeadScores(c));
        Dictionary<string, float[]> results = node.Run();
        double extra = CudaTolerance.Extra(c).Scores;
        AttentionReferenceResult<double> truth = AttentionReference.Run<double>(c.Problem, c.Bias);
        Tolerance.Check("head_scores", results["head_scores"], truth.HeadScores, order => AttentionReference.Run<float>(c.Problem, c.Bias, order).HeadScores, ElementType.Float32, c.Repro, extra: extra);
        Tolerance.Check("speaker_scores", results["speaker_scores"], truth.SpeakerScores, order => AttentionReference.Run<float>(c.Problem, c.Bias, order).SpeakerScores, ElementType.Float32, c.Repro, extra: extra);
    }, salt: 903, restrict: spec => Small(spec) with
    {
        Bias = false,
        Sink = false,
        ScoresIn = false,
        Roles = spec.Roles == RoleMode.None ? RoleMode.Self : spec.Roles,
        Speakers = Math.Min(spec.Speakers, 6),
    });

    /// <summary>Every form of key_padding_mask and of the tensors, projection bias, attention bias, past.</summary>
    [Fact]
    public void MultiHeadAttention_Meets_The_Reference() => Properties.ForAll(40, spec =>
    {
        using AttentionCase c = new(spec, nameof(MultiHeadAttention_Meets_The_Reference), asOperator: true);
        using MultiHeadAttentionOverrideTests.Form form = new(c, onDevice: true);
        using OpNode node = OnDevice(form.Node(c));
        form.Check(c, node.Run(), CudaTolerance.Extra(c).Output);
    }, salt: 904, restrict: spec => Small(spec) with
    {
        Group = 1,
        // Beside logits of thousands a filter of -10000 does not hide, and what rounds it to 16 bits shows.
        Logits = spec.Logits == LogitMode.Sink ? LogitMode.Sink : LogitMode.Normal,
        Softcap = 0,
        Window = 0,
        Sink = false,
        Bias = false,
        Lengths = false,
        Causal = spec.Causal && (spec.S == 1 || Small(spec).S == Small(spec).T - Small(spec).Past),
        Roles = RoleMode.None,
    });

    /// <summary>Every mask, bool ones and those of fewer keys among them, past, lengths, windows.</summary>
    [Fact]
    public void Attention_Meets_The_Reference() => Properties.ForAll(OnnxAttentionSpec.Arbitrary, 40, spec =>
    {
        using OnnxAttentionCase c = new(spec, $"{nameof(CudaSessionTests)}.{nameof(Attention_Meets_The_Reference)}");
        using OpNode node = OnDevice(c.Node());
        // Normal numbers stay below 5: a probability rounded to 16 bits moves a mean of values by half a unit in the last place of these.
        c.Check(node.Run(), extra: spec.Type == ElementType.Float32 ? 0 : 5 * Math.ScaleB(1, spec.Type == ElementType.Float16 ? -11 : -8));
    }, salt: 905, restrict: spec =>
    {
        bool narrow = spec.Seed % 3 > 0;
        int past = Math.Min(spec.Past, 20), fresh = Math.Min(spec.NewKeys, 50);
        return spec with
        {
            B = Math.Min(spec.B, 2),
            Kv = Math.Min(spec.Kv, 2),
            Group = Math.Min(spec.Group, 2),
            S = Math.Min(spec.S, 40),
            NewKeys = fresh,
            Past = past,
            D = narrow ? 64 : Math.Min(spec.D, 17),
            Dv = narrow ? 64 : spec.Dv,
            Type = narrow ? spec.Seed % 3 == 1 ? ElementType.Float16 : ElementType.BFloat16 : ElementType.Float32,
            MaskLacks = Math.Min(spec.MaskLacks, fresh + past - 1),
            Mode = -1,
            Poison = false,
        };
    });

    /// <summary>The operator of the CUDA provider in place of whatever the node had.</summary>
    private static OpNode OnDevice(OpNode node)
    {
        node.Domain = Domain;
        node.Library = CudaOpTests.Library.Value;
        node.Overrides = AttentionOverrides.None;
        return node;
    }

    /// <summary>Sinks as the node gets them.</summary>
    private static void RoundSinks(AttentionCase c)
    {
        for (int h = 0; h < c.Spec.H; h++)
        {
            c.Problem.HeadSink[h] = Tolerance.Rounded(c.Spec.Type, c.Problem.HeadSink[h]);
        }
    }

    /// <summary>Emulation is slow. Two thirds of the cases have 16 bits and fit tensor cores.</summary>
    private static CaseSpec Small(CaseSpec spec)
    {
        bool narrow = spec.Seed % 3 > 0;
        int keys = Math.Min(spec.T, 70);
        return spec with
        {
            B = Math.Min(spec.B, 2),
            Kv = Math.Min(spec.Kv, 2),
            Group = Math.Min(spec.Group, 2),
            S = Math.Min(Math.Min(spec.S, 40), keys),
            T = keys,
            D = narrow ? 64 : Math.Min(spec.D / 8 * 8, 16) + 8,
            Dv = narrow ? 64 : spec.Dv,
            Type = narrow ? spec.Seed % 3 == 1 ? ElementType.Float16 : ElementType.BFloat16 : ElementType.Float32,
            Layout = LayoutMode.RowsFirst,
            Past = Math.Min(spec.Past, keys - 1),
            Logits = spec.Logits == LogitMode.NaNInMaskedRows ? LogitMode.Normal : spec.Logits,
        };
    }
}
