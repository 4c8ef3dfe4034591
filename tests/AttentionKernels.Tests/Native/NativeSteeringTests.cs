using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Steering;
using AttentionKernels.Tests.OnnxRuntime.Graph;

namespace AttentionKernels.Tests.Native;

/// <summary>A decoder under a scope of the native library and under one of the managed build: the same results.</summary>
[Collection(NativeCollection.Name)]
public sealed class NativeSteeringTests(NativeBuild build)
{
    private static readonly DecoderConfig Config = new() { Layers = 3, PlantHeads = true };
    private static readonly DecoderInput Input = DecoderInput.Create(Config, prompt: 3, slots: 2, rows: 4, columns: 6, words: 24);

    [Theory]
    [InlineData("all", true, 1f)]
    [InlineData("1-2", true, 0.5f)]
    [InlineData("0,2", false, 1f)]
    public void A_Native_Scope_Equals_A_Managed_One(string layers, bool social, float alpha)
    {
        using DecoderSession session = new(Config, overrides: AttentionOverrides.All);
        using SteeringScope managed = new(
            new SteeringRoles(1, Input.Modality, Input.Speakers, Input.Frames),
            new SteeringScopeSettings { Layers = LayerRange.Parse(layers), Policy = social ? "social" : "none", Alpha = alpha, Lambda = 1e-4f });
        float[] expected = session.Run(Input, "logits")["logits"];

        NativeApi api = new(build.Library);
        using DecoderSession native = new(Config, build.Library);
        ulong scope = Scope(api, social, alpha, growing: false);
        api.SetLayers(scope, layers);
        api.Call("begin", scope);
        float[] actual = native.Run(Input, "logits")["logits"];
        api.Call("end", scope);

        AssertClose(expected, actual);
        Assert.All(managed.Read().Zip(api.Read(scope)), pair =>
        {
            Assert.Equal((pair.First.Layer, pair.First.Node, pair.First.Calls), (pair.Second.Layer, pair.Second.Node, pair.Second.Calls));
            AssertClose(pair.First.HeadScores, pair.Second.Scores);
            AssertClose(pair.First.Alignment, pair.Second.Alignment);
        });
        Assert.Equal(managed.Read().Count, api.Read(scope).Count);
        api.Call("destroy", scope);
    }

    /// <summary>The prompt in two chunks, steered by the scores of a scope that measured it whole, and read between the chunks: the whole prompt's logits.</summary>
    [Fact]
    public void Chunks_With_A_Gate_Equal_The_Whole_Prompt()
    {
        NativeApi api = new(build.Library);
        using DecoderSession session = new(Config, build.Library);
        ulong whole = Scope(api, true, 1, growing: false), chunks = Scope(api, true, 1, growing: true);
        api.Call("begin", whole);
        float[] expected = session.Run(Input, "logits")["logits"];
        api.Call("end", whole);

        using DecoderSession second = new(Config, build.Library);
        int middle = Input.Length - 12;
        api.SetGate(chunks, whole);
        api.Call("begin", chunks);
        float[] first = second.Run([Input], 0, middle, ["logits"])["logits"];
        Assert.All(api.Read(chunks), layer => Assert.Equal(1, layer.Calls));
        float[] rest = second.Run([Input], middle, Input.Length, ["logits"])["logits"];
        Assert.All(api.Read(chunks), layer => Assert.Equal(2, layer.Calls));
        api.Call("end", chunks);
        AssertClose(expected, [.. first, .. rest]);
        api.Call("destroy", whole);
        api.Call("destroy", chunks);
    }

    private static ulong Scope(NativeApi api, bool social, float alpha, bool growing)
    {
        ulong scope = api.Create();
        api.SetRoles(scope, Input.Modality, Input.Speakers, Input.Frames);
        api.SetPolicy(scope, social, alpha, 1e-4f, growing);
        return scope;
    }

    private static void AssertClose(IReadOnlyList<float> expected, IReadOnlyList<float> actual)
    {
        Assert.Equal(expected.Count, actual.Count);
        float size = expected.Max(Math.Abs);
        for (int i = 0; i < expected.Count; i++)
        {
            // Another compiler and another split of the rows change the order of sums in three layers: some hundred roundings.
            Assert.True(Math.Abs(expected[i] - actual[i]) <= 2e-5f * size, $"{actual[i]} at {i}, expected {expected[i]} of at most {size}");
        }
    }
}
