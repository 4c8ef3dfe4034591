using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Tests.OnnxRuntime.Ops;

namespace AttentionKernels.Tests.Native;

/// <summary>What RegisterCustomOps registers.</summary>
[Collection(NativeCollection.Name)]
public sealed class NativeRegistrationTests(NativeBuild build)
{
    private const string Config = "session configuration entry 'attention_kernels.override'";
    private const string Variable = "environment variable ATTENTION_KERNELS_OVERRIDE";
    private const string Expected = "expected none, all, or some of GroupQueryAttention, MultiHeadAttention, Attention with commas between";

    /// <summary>The session's own entry wins over the variable, which is for hosts that pass no entries on; without either the built-in stays.</summary>
    [Theory]
    [InlineData(null, null, "built-in")]
    [InlineData("GroupQueryAttention", null, "overridden")]
    [InlineData("MultiHeadAttention,Attention", null, "built-in")]
    [InlineData("all", "none", "built-in")]
    [InlineData("all", "", "built-in")]
    [InlineData("none", "MultiHeadAttention, GroupQueryAttention", "overridden")]
    [InlineData("Gelu", "all", "overridden")]
    [InlineData("Gelu", null, $"AttentionKernels: {Variable} has 'Gelu', {Expected}")]
    [InlineData("all", "groupqueryattention", $"AttentionKernels: {Config} has 'groupqueryattention', {Expected}")]
    public void Overrides_Are_Chosen_By_The_Session_Or_The_Environment(string? variable, string? entry, string expected)
    {
        string[] arguments = [NativeBuild.OnnxRuntime, build.Library, build.OneLayer];
        (string, string)[] environment = variable == null ? [] : [("ATTENTION_KERNELS_OVERRIDE", variable)];
        ChildProcess run = ChildProcess.RunBare(build.Linked("choice"), entry == null ? arguments : [.. arguments, entry], environment);
        Assert.Equal(expected, run.Succeeded().Output.Trim());
    }

    /// <summary>Each name stands for its operator, on nodes that ONNX Runtime's own kernels refuse: a head of 4, packed tensors, bfloat16.</summary>
    [Theory]
    [InlineData("none", false, false, false)]
    [InlineData("all", true, true, true)]
    [InlineData("GroupQueryAttention", true, false, false)]
    [InlineData("MultiHeadAttention", false, true, false)]
    [InlineData("Attention", false, false, true)]
    public void Each_Name_Replaces_Its_Operator_And_No_Other(string choice, bool groupQuery, bool multiHead, bool onnx)
    {
        OpNode gqa = new() { Op = "GroupQueryAttention", Domain = "com.microsoft", Outputs = ["y", "k", "v"], Attributes = new() { ["num_heads"] = 1L, ["kv_num_heads"] = 1L } };
        gqa.Add(new float[4], 1, 1, 4).Add(new float[4], 1, 1, 4).Add(new float[4], 1, 1, 4).Skip(2).Add<int>([0], 1).Add<int>([1], 1);
        OpNode mha = new() { Op = "MultiHeadAttention", Domain = "com.microsoft", Outputs = ["y"], Attributes = new() { ["num_heads"] = 1L } };
        mha.Add(new float[12], 1, 1, 1, 3, 4);
        OpNode attention = new() { Op = "Attention", Domain = "", Opset = 23, OutputType = OnnxElementType.BFloat16, Outputs = ["y"] };
        attention.Add(ElementType.BFloat16, new float[4], 1, 1, 1, 4).Add(ElementType.BFloat16, new float[4], 1, 1, 1, 4).Add(ElementType.BFloat16, new float[4], 1, 1, 1, 4);
        foreach ((OpNode node, bool runs) in (((OpNode, bool)[])[(gqa, groupQuery), (mha, multiHead), (attention, onnx)]))
        {
            using (node)
            {
                Exception? e = Record.Exception(() => Run(node, choice));
                Assert.True(runs ? e == null : e is OrtException, $"{node.Op} {(runs ? "does not run" : "runs")} with {choice}: {e?.Message}");
            }
        }
    }

    /// <summary>The own operator is the same in both builds, as is an error of it.</summary>
    [Fact]
    public void SteeredAttention_Is_Computed_As_In_The_Managed_Build()
    {
        Random random = new(5);
        float[] Numbers(int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
        const int Tokens = 40;
        using OpNode node = new() { Op = "SteeredAttention", Outputs = ["y", "", "", "head_scores", "alignment"], Attributes = new() { ["num_heads"] = 4L, ["kv_num_heads"] = 2L, ["lambda"] = 0f } };
        node.Add(Numbers(Tokens * 32), 1, Tokens, 32).Add(Numbers(Tokens * 16), 1, Tokens, 16).Add(Numbers(Tokens * 16), 1, Tokens, 16)
            .Skip(2).Add<int>([Tokens - 1], 1).Add<int>([Tokens], 1).Skip(5)
            .Add([.. Enumerable.Range(0, Tokens).Select(t => (byte)(t < 24 ? 1 : 0))], 1, Tokens)
            .Add([.. Enumerable.Range(0, Tokens).Select(t => t < 24 ? 1L << (t % 2) : t < 32 ? 1L : 2L)], 1, Tokens)
            .Add([.. Enumerable.Range(0, Tokens).SelectMany(_ => (int[])[0, 1])], 1, Tokens, 2);
        Dictionary<string, float[]> managed = node.Run(), native = Run(node, "none");
        Assert.All(managed["head_scores"], score => Assert.NotEqual(0, score));
        foreach ((string name, float[] expected) in managed)
        {
            // Another compiler may order a sum's roundings otherwise.
            Assert.All(expected.Zip(native[name]), pair => Assert.Equal(pair.First, pair.Second, 1e-6f));
        }
        node.Replace<int>(5, [Tokens + 5], 1);
        string text = Assert.Throws<OrtException>(() => node.Run()).Message;
        Assert.Equal(text, Assert.Throws<OrtException>(() => Run(node, "none")).Message);
    }

    private Dictionary<string, float[]> Run(OpNode node, string choice)
    {
        using OrtSessionOptions options = new() { IntraOpThreads = 1, LogSeverity = OrtLogSeverity.Fatal };
        options.AddConfigEntry("attention_kernels.override", choice);
        options.RegisterLibrary(build.Library);
        using OrtSession session = new(node.ToModel(), options);
        return node.Run(session);
    }
}
