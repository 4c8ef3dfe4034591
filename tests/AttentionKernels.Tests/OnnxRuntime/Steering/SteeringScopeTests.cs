using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Steering;
using AttentionKernels.Tests.OnnxRuntime.Graph;

namespace AttentionKernels.Tests.OnnxRuntime.Steering;

/// <summary>Scopes around whole decoders, whose model is not changed.</summary>
public sealed class SteeringScopeTests
{
    private static readonly DecoderConfig Config = new() { Layers = 3, PlantHeads = true };
    private static readonly DecoderInput Input = DecoderInput.Create(Config, prompt: 3, slots: 2, rows: 4, columns: 6, words: 24);
    private static readonly SteeringRoles Roles = new(1, Input.Modality, Input.Speakers, Input.Frames);

    /// <summary>The unchanged model in a scope and the model rewritten with SteeredAttention nodes are one computation: logits, scores and alignment, bit for bit.</summary>
    [Theory]
    [InlineData("all", "social", 1f)]
    [InlineData("1-2", "social", 0.5f)]
    [InlineData("0,2", "none", 1f)]
    public void A_Scope_Equals_The_Rewritten_Model(string layers, string policy, float alpha)
    {
        LayerRange range = LayerRange.Parse(layers);
        SteeringRewrite rewrite = new() { Layers = range, Policy = policy, Alpha = alpha, Lambda = 1e-4f };
        int[] steered = [.. Enumerable.Range(0, Config.Layers).Where(range.Contains)];
        string[] outputs = ["logits", .. steered.SelectMany(i => (string[])[$"head_scores.{i}", $"alignment.{i}"])];
        // Layers that are not rewritten must run with this library's kernels, too.
        using DecoderSession rewritten = new(Config, SteeredAttentionRewriter.Rewrite(DecoderGraphBuilder.Build(Config), rewrite).Model, AttentionOverrides.All);
        Dictionary<string, float[]> expected = rewritten.Run(Input, outputs);

        using DecoderSession session = new(Config, overrides: AttentionOverrides.All);
        using SteeringScope scope = new(Roles, new SteeringScopeSettings { Layers = range, Policy = policy, Alpha = alpha, Lambda = 1e-4f });
        Assert.Equal(expected["logits"], session.Run(Input, "logits")["logits"]);
        IReadOnlyList<SteeredLayerScores> found = scope.Read();
        Assert.Equal(steered, found.Select(layer => layer.Layer));
        Assert.All(found, layer =>
        {
            Assert.Equal(expected[$"head_scores.{layer.Layer}"], layer.HeadScores);
            Assert.Equal(expected[$"alignment.{layer.Layer}"], layer.Alignment);
            Assert.Contains($"layers.{layer.Layer}", layer.Node, StringComparison.Ordinal);
            Assert.Equal((1, Config.Heads, 1), (layer.Batch, layer.Heads, layer.Calls));
            Assert.Same(layer.Node, scope.Read(layer.Layer).Node);
        });
    }

    [Fact]
    public void Before_And_After_A_Scope_Attention_Is_Plain()
    {
        using DecoderSession session = new(Config, overrides: AttentionOverrides.All);
        float[] plain = session.Run(Input, "logits")["logits"];
        float[] steered;
        using (SteeringScope scope = new(Roles, new SteeringScopeSettings { Lambda = 0 }))
        {
            steered = session.Run(Input, "logits")["logits"];
        }
        Assert.NotEqual(plain, steered);
        Assert.Equal(plain, session.Run(Input, "logits")["logits"]);
    }

    /// <summary>
    /// A generation loop under one scope: the prompt in chunks, steered by the scores of a first, measuring pass, then single tokens. The logits are those of
    /// the whole prompt at once, and the chunks' scores add up to the prompt's.
    /// </summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Chunks_With_The_Prompts_Scores_Equal_The_Whole_Prompt(float alpha)
    {
        using DecoderSession session = new(Config, overrides: AttentionOverrides.All);
        SteeringScopeSettings settings = new() { Alpha = alpha, Lambda = 1e-4f };
        float[] whole;
        IReadOnlyList<SteeredLayerScores> scores;
        using (SteeringScope scope = new(Roles, settings))
        {
            whole = session.Run(Input, "logits")["logits"];
            scores = scope.Read();
        }
        int text = Input.Length - 24;
        using (SteeringScope scope = new(Roles, settings with { Growing = true, Gate = scores }))
        {
            List<float> logits = [];
            foreach ((int first, int end) in (ReadOnlySpan<(int, int)>)[(0, 20), (20, text + 7), (text + 7, Input.Length - 2), (Input.Length - 2, Input.Length - 1), (Input.Length - 1, Input.Length)])
            {
                logits.AddRange(session.Run([Input], first, end, ["logits"])["logits"]);
            }
            AssertClose(whole, logits);
            Assert.All(scope.Read().Zip(scores), pair =>
            {
                // All but the first chunk hold spoken words.
                Assert.Equal(4, pair.First.Calls);
                AssertClose(pair.Second.HeadScores, pair.First.HeadScores);
                AssertClose(pair.Second.Alignment, pair.First.Alignment);
            });
        }
    }

    /// <summary>Tokens that are decoded behind the roles are nobody's: their logits are those of a plain run over a steered cache.</summary>
    [Fact]
    public void Decoded_Tokens_Behind_The_Roles_Run_Plain()
    {
        int prompt = Input.Length - 3;
        SteeringRoles roles = new(1, Input.Modality.AsSpan(0, prompt), Input.Speakers.AsSpan(0, prompt), Input.Frames.AsSpan(0, 2 * prompt));
        using DecoderSession outside = new(Config, overrides: AttentionOverrides.All), inside = new(Config, overrides: AttentionOverrides.All);
        using (SteeringScope scope = new(roles, new SteeringScopeSettings { Lambda = 0 }))
        {
            outside.Run([Input], 0, prompt, ["logits"]);
        }
        float[] expected = outside.Run([Input], prompt, Input.Length, ["logits"])["logits"];
        using SteeringScope growing = new(roles, new SteeringScopeSettings { Lambda = 0, Growing = true });
        inside.Run([Input], 0, prompt, ["logits"]);
        IReadOnlyList<float> scores = growing.Read(1).HeadScores;
        Assert.Equal(expected, inside.Run([Input], prompt, Input.Length, ["logits"])["logits"]);
        Assert.Equal(scores, growing.Read(1).HeadScores);
    }

    [Fact]
    public void Two_Sequences_Of_A_Batch_Have_Their_Own_Roles()
    {
        DecoderInput silent = Input with { Speakers = new long[Input.Length] };
        SteeringRoles roles = new(2, [.. Input.Modality, .. silent.Modality], [.. Input.Speakers, .. silent.Speakers], [.. Input.Frames, .. silent.Frames]);
        using DecoderSession session = new(Config, overrides: AttentionOverrides.All);
        using SteeringScope scope = new(roles, new SteeringScopeSettings { Lambda = 0 });
        session.Run([Input, silent], 0, Input.Length, ["logits"]);
        Assert.All(scope.Read(), layer =>
        {
            Assert.Equal(2 * Config.Heads, layer.HeadScores.Count);
            Assert.All(layer.HeadScores.Take(Config.Heads), score => Assert.NotEqual(0, score));
            Assert.All(layer.HeadScores.Skip(Config.Heads), score => Assert.Equal(0, score));
        });
    }

    private static void AssertClose(IReadOnlyList<float> expected, IReadOnlyList<float> actual)
    {
        Assert.Equal(expected.Count, actual.Count);
        float size = expected.Max(Math.Abs);
        for (int i = 0; i < expected.Count; i++)
        {
            // Another split of the rows changes the order of sums in three layers: some hundred roundings.
            Assert.True(Math.Abs(expected[i] - actual[i]) <= 2e-5f * size, $"{actual[i]} at {i}, expected {expected[i]} of at most {size}");
        }
    }
}
