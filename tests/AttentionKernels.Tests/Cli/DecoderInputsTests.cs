using AttentionKernels.Cli.Run;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Scenes;

namespace AttentionKernels.Tests.Cli;

/// <summary>Which graphs the tool can feed, and with what.</summary>
public sealed class DecoderInputsTests
{
    private static readonly ValueInfoProto Embeddings = GraphWriter.Value("inputs_embeds", OnnxElementType.Float, "b", "s", 4);

    [Fact]
    public void A_Prefill_Is_Fed_Ones_Positions_And_An_Empty_Past()
    {
        SceneTokens tokens = RunFiles.Tokens;
        DecoderInputs inputs = Read(
            Embeddings,
            GraphWriter.Value("attention_mask", OnnxElementType.Int64, "b", "t"),
            GraphWriter.Value("position_ids", OnnxElementType.Int64, 3, "b", "s"),
            GraphWriter.Value("past_key_values.0.key", OnnxElementType.Float, "b", 2, "p", 8));
        Dictionary<string, OrtTensor> feeds = inputs.CreateFeeds(tokens, new float[tokens.Length * 4]);
        Assert.Equal([1L, tokens.Length, 4], feeds["inputs_embeds"].Shape.ToArray());
        Assert.Equal(Enumerable.Repeat(1L, tokens.Length), feeds["attention_mask"].Span<long>().ToArray());
        Assert.Equal([3L, 1, tokens.Length], feeds["position_ids"].Shape.ToArray());
        Assert.Equal(tokens.PositionIds.SelectMany(axis => axis).Select(position => (long)position), feeds["position_ids"].Span<long>().ToArray());
        Assert.Equal([1L, 2, 0, 8], feeds["past_key_values.0.key"].Shape.ToArray());
        DisposeAll(feeds);
    }

    [Fact]
    public void Plain_Positions_Count_And_No_Positions_Are_Not_Fed()
    {
        SceneTokens tokens = RunFiles.Tokens;
        Dictionary<string, OrtTensor> plain = Read(Embeddings, GraphWriter.Value("position_ids", OnnxElementType.Int64, "b", "s")).CreateFeeds(tokens, new float[tokens.Length * 4]);
        Assert.Equal(Enumerable.Range(0, tokens.Length).Select(position => (long)position), plain["position_ids"].Span<long>().ToArray());
        Dictionary<string, OrtTensor> none = Read(Embeddings).CreateFeeds(tokens, new float[tokens.Length * 4]);
        Assert.Equal(["inputs_embeds"], none.Keys);
        DisposeAll(plain);
        DisposeAll(none);
    }

    [Fact]
    public void Float16_Embeddings_And_Past_Are_Float16()
    {
        DecoderInputs inputs = Read(
            GraphWriter.Value("inputs_embeds", OnnxElementType.Float16, "b", "s", 4), GraphWriter.Value("past_key_values.0.key", OnnxElementType.Float16, "b", 2, "p", 8));
        SceneTokens tokens = RunFiles.Tokens;
        Dictionary<string, OrtTensor> feeds = inputs.CreateFeeds(tokens, Enumerable.Repeat(0.5f, tokens.Length * 4).ToArray());
        Assert.Equal((Half)0.5f, feeds["inputs_embeds"].Span<Half>()[3]);
        Assert.Equal(OnnxElementType.Float16, feeds["past_key_values.0.key"].ElementType);
        DisposeAll(feeds);
    }

    [Fact]
    public void Constants_Among_The_Inputs_Need_No_Feed()
    {
        GraphProto graph = new() { Initializer = { new TensorProto { Name = "weight" } } };
        graph.Input.AddRange([Embeddings, GraphWriter.Value("weight", OnnxElementType.Float, 4)]);
        Assert.Equal(4, DecoderInputs.Read(graph).Hidden);
    }

    [Fact]
    public void Inputs_That_Do_Not_Fit_Are_Named_With_What_Was_Expected()
    {
        Refuses("no input 'inputs_embeds'", GraphWriter.Value("input_ids", OnnxElementType.Int64, "b", "s"));
        Refuses("'inputs_embeds' (float32 [b, s, h]) is not as expected", GraphWriter.Value("inputs_embeds", OnnxElementType.Float, "b", "s", "h"));
        Refuses("'inputs_embeds' (element type 16 [b, s, 4]) is not as expected: float32 or float16", GraphWriter.Value("inputs_embeds", OnnxElementType.BFloat16, "b", "s", 4));
        Refuses("'attention_mask' (float32 [b, t]) is not as expected: int64", Embeddings, GraphWriter.Value("attention_mask", OnnxElementType.Float, "b", "t"));
        Refuses("'position_ids' (int64 [4, b, s]) is not as expected: int64 [3, batch, sequence]", Embeddings, GraphWriter.Value("position_ids", OnnxElementType.Int64, 4, "b", "s"));
        Refuses("past of any length", Embeddings, GraphWriter.Value("past_key_values.0.key", OnnxElementType.Float, "b", 2, 128, 8));
        Refuses("float32 [batch, heads, past, head size]", Embeddings, GraphWriter.Value("past_key_values.0.key", OnnxElementType.Float16, "b", 2, "p", 8));
        Refuses("'a' (float32 [1]), 'b' (int32 [])", Embeddings, GraphWriter.Value("a", OnnxElementType.Float, 1), GraphWriter.Value("b", OnnxElementType.Int32));
    }

    private static void Refuses(string expected, params ValueInfoProto[] inputs) =>
        Assert.Contains(expected, Assert.Throws<RunException>(() => Read(inputs)).Message, StringComparison.Ordinal);

    private static DecoderInputs Read(params ValueInfoProto[] inputs)
    {
        GraphProto graph = new();
        graph.Input.AddRange(inputs);
        return DecoderInputs.Read(graph);
    }

    private static void DisposeAll(Dictionary<string, OrtTensor> feeds)
    {
        foreach (OrtTensor tensor in feeds.Values)
        {
            tensor.Dispose();
        }
    }
}
