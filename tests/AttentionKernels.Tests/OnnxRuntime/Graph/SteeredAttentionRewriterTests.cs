using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using Google.Protobuf;

namespace AttentionKernels.Tests.OnnxRuntime.Graph;

/// <summary>What the rewriter changes in a model, what it keeps, and what it refuses.</summary>
public sealed class SteeredAttentionRewriterTests
{
    private static readonly DecoderConfig Config = new() { Layers = 3 };

    [Fact]
    public void Chosen_Layers_Are_Replaced_And_The_Others_Stay()
    {
        ModelProto before = DecoderGraphBuilder.BuildModel(Config);
        RewrittenModel result = SteeredAttentionRewriter.Rewrite(before.ToByteArray(), new SteeringRewrite { Layers = LayerRange.Parse("0,2") });
        ModelProto after = ModelProto.Parser.ParseFrom(result.Model);

        Assert.Equal([new SteeredLayer(0, Name(0), 4), new SteeredLayer(2, Name(2), 4)], result.Layers);
        Assert.Empty(result.ExternalData);
        Assert.Equal(Attention(before, 1), Attention(after, 1));
        NodeProto node = Attention(after, 2);
        Assert.Equal(("ai.attentionkernels", "SteeredAttention"), (node.Domain, node.OpType));
        Assert.Equal([.. Attention(before, 2).Input, "", "", "", "", "", "token_modality", "token_speakers", "token_frames"], node.Input);
        Assert.Equal([.. Attention(before, 2).Output, "head_scores.2", "alignment.2"], node.Output);
        Assert.Equal(new OperatorSetIdProto { Domain = "ai.attentionkernels", Version = 1 }, after.OpsetImport[^1]);

        // All else is as it was: putting the two nodes and the added values back gives the model that went in.
        foreach (int layer in (int[])[0, 2])
        {
            after.Graph.Node[after.Graph.Node.IndexOf(Attention(after, layer))] = Attention(before, layer);
        }
        RemoveLast(after.OpsetImport, 1);
        RemoveLast(after.Graph.Input, 3);
        RemoveLast(after.Graph.Output, 4);
        Assert.Equal(before, after);
    }

    [Fact]
    public void Roles_Become_Inputs_And_Scores_Become_Outputs()
    {
        ModelProto after = Rewrite(DecoderGraphBuilder.BuildModel(Config), new SteeringRewrite { Layers = LayerRange.Parse("1"), HeadScoresInput = true });
        Assert.Equal(
            [
                GraphWriter.Value("token_modality", OnnxElementType.UInt8, "batch_size", "total_sequence_length"),
                GraphWriter.Value("token_speakers", OnnxElementType.Int64, "batch_size", "total_sequence_length"),
                GraphWriter.Value("token_frames", OnnxElementType.Int32, "batch_size", "total_sequence_length", 2),
                GraphWriter.Value("head_scores_in.1", OnnxElementType.Float, "batch_size", 4),
            ],
            after.Graph.Input.TakeLast(4));
        Assert.Equal(
            [GraphWriter.Value("head_scores.1", OnnxElementType.Float, "batch_size", 4), GraphWriter.Value("alignment.1", OnnxElementType.Float, "batch_size", 4, 4)],
            after.Graph.Output.TakeLast(2));
        Assert.Equal(["token_frames", "", "", "", "head_scores_in.1"], Attention(after, 1).Input.Skip(14));
    }

    [Fact]
    public void Attributes_Are_Carried_Over_And_Steering_Is_Added()
    {
        ModelProto model = DecoderGraphBuilder.BuildModel(Config);
        NodeProto node = Attention(model, 1);
        node.Attribute.Clear();
        node.Attribute.Add(
        [
            GraphWriter.Attribute("num_heads", 4), GraphWriter.Attribute("kv_num_heads", 2), GraphWriter.Attribute("scale", 0.3f), GraphWriter.Attribute("softcap", 20f),
            GraphWriter.Attribute("local_window_size", 7), GraphWriter.Attribute("do_rotary", 1), GraphWriter.Attribute("rotary_interleaved", 1), GraphWriter.Attribute("causal", 0),
            GraphWriter.Attribute("smooth_softmax", -1), GraphWriter.Attribute("qk_output", 0), GraphWriter.Attribute("k_quant_type", "NONE"),
            GraphWriter.Attribute("qk_norm_epsilon", 1e-6f), GraphWriter.Attribute("kv_cache_bit_width", 0), GraphWriter.Attribute("sliding_window_cache", 0),
        ]);
        node.Input.Add(["cos", "sin", "", "bias", "sink", "", "", "", ""]);
        AttributeProto[] carried = [.. node.Attribute.Take(8)];

        NodeProto after = Attention(Rewrite(model, new SteeringRewrite { Layers = LayerRange.Parse("1"), Alpha = 0.5f, Lambda = 1e-4f, ClampNegative = true, Policy = "none" }), 1);
        Assert.Equal(
            [
                .. carried, GraphWriter.Attribute("policy", "none"), GraphWriter.Attribute("alpha", 0.5f), GraphWriter.Attribute("lambda", 1e-4f),
                GraphWriter.Attribute("clamp_negative", 1),
            ],
            after.Attribute);
        Assert.Equal(["cos", "sin", "", "bias", "sink", "token_modality", "token_speakers", "token_frames"], after.Input.Skip(7));
    }

    [Fact]
    public void Unknown_Fields_Survive()
    {
        // Field 999 at every level, and a wide varint, stand for what later versions of the format may add.
        ByteString unknown = ByteString.CopyFrom([0xBA, 0x3E, 3, 1, 2, 3, 0xC0, 0x3E, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]);
        T With<T>(T message)
            where T : IMessage<T>
        {
            message.MergeFrom(unknown);
            return message;
        }

        ModelProto model = With(DecoderGraphBuilder.BuildModel(Config));
        NodeProto node = With(Attention(model, 0));
        With(node.Attribute[0]);
        With(model.Graph);
        With(model.Graph.Initializer[0]);
        With(model.Graph.Input[0].Type);
        With(model.OpsetImport[0]);

        ModelProto after = Rewrite(model);
        NodeProto steered = Attention(after, 0);
        IMessage[] messages = [after, after.Graph, steered, steered.Attribute[0], after.Graph.Initializer[0], after.Graph.Input[0].Type, after.OpsetImport[0]];
        Assert.All(messages, message => Assert.True(message.ToByteArray().AsSpan().EndsWith(unknown.Span), message.Descriptor.Name));
        model.Graph.Initializer[0].MergeFrom(ByteString.CopyFrom([0x22, 4, 0, 0, 128, 63])); // float_data, which is real but not declared
        Assert.Equal(model.Graph.Initializer[0], Rewrite(model).Graph.Initializer[0]);
    }

    [Fact]
    public void Values_That_Equal_Their_Default_Are_Still_Written()
    {
        ModelProto model = DecoderGraphBuilder.BuildModel(Config);
        Assert.Contains(Attention(model, 1).Attribute, attribute => attribute.Name == "do_rotary" && attribute.HasI && attribute.I == 0);
        model.Graph.Initializer.Add(new TensorProto { Name = "", DataType = 1, RawData = ByteString.Empty });
        ModelProto after = Rewrite(model);
        Assert.True(after.Graph.Initializer[^1] is { HasName: true, HasRawData: true });
        Assert.Contains(Attention(after, 1).Attribute, attribute => attribute.Name == "do_rotary" && attribute.HasI && attribute.I == 0);
    }

    [Theory]
    [InlineData("/model/layers.12/attn/GroupQueryAttention", 12)]
    [InlineData("/model/layers/12/attn/gqa", 12)]
    [InlineData("model.blocks.12.attention", 12)]
    [InlineData("layers.12", 12)]
    [InlineData("/model/layers.12x/attn", 0)]
    [InlineData("/players.12/attn", 0)]
    [InlineData("/model/layers.99999999999/attn", 0)]
    [InlineData("", 0)]
    public void The_Layer_Comes_From_The_Name_Or_From_The_Order(string name, int layer)
    {
        ModelProto model = DecoderGraphBuilder.BuildModel(Config with { Layers = 1 });
        Attention(model, 0).Name = name;
        Assert.Equal(new SteeredLayer(layer, name, 4), Assert.Single(SteeredAttentionRewriter.Rewrite(model.ToByteArray()).Layers));
    }

    [Fact]
    public void One_Unnamed_Node_Makes_All_Count_By_Order()
    {
        ModelProto model = DecoderGraphBuilder.BuildModel(Config);
        Attention(model, 0).Name = "/model/layers.7/attn";
        Attention(model, 1).Name = "gqa";
        Assert.Equal([0, 1, 2], SteeredAttentionRewriter.Rewrite(model.ToByteArray()).Layers.Select(layer => layer.Index));
    }

    [Fact]
    public void What_Steered_Attention_Lacks_Is_Refused_By_Name()
    {
        void Refused(string reason, Action<NodeProto> change) => RefusedModel($"Cannot steer node '{Name(1)}': {reason}", model => change(Attention(model, 1)));

        Refused("query, key and value come packed", node => (node.Input[1], node.Input[2]) = ("", ""));
        Refused("it lacks one of the inputs query, seqlens_k", node => node.Input.RemoveAt(6));
        Refused("its cache is quantized (inputs k_scale", node => node.Input.Add(["", "", "", "", "", "k_scale", "v_scale"]));
        Refused("it normalizes queries and keys", node => node.Input.Add(["", "", "", "", "", "", "", "q_norm", "k_norm"]));
        Refused("it has more inputs than the 16", node => node.Input.Add(["", "", "", "", "", "", "", "", "", "x"]));
        Refused("its output output_qk is in use", node => node.Output.Add("qk"));
        Refused("its cache is quantized (v_quant_type)", node => node.Attribute.Add(GraphWriter.Attribute("v_quant_type", "PER_TENSOR")));
        Refused("its cache is quantized (kv_cache_bit_width)", node => node.Attribute.Add(GraphWriter.Attribute("kv_cache_bit_width", 8)));
        Refused("it has a smooth softmax", node => node.Attribute.Add(GraphWriter.Attribute("smooth_softmax", 1)));
        Refused("it has a qk_output", node => node.Attribute.Add(GraphWriter.Attribute("qk_output", 1)));
        Refused("its cache keeps a sliding window", node => node.Attribute.Add(GraphWriter.Attribute("sliding_window_cache", 1)));
        Refused("its attribute 'novelty' is unknown", node => node.Attribute.Add(GraphWriter.Attribute("novelty", 0)));
        Refused("it has no attribute num_heads", node => node.Attribute.RemoveAt(0));
    }

    [Fact]
    public void A_Layer_Out_Of_The_Range_May_Have_What_Is_Refused()
    {
        ModelProto model = DecoderGraphBuilder.BuildModel(Config);
        Attention(model, 1).Attribute.Add(GraphWriter.Attribute("smooth_softmax", 1));
        Assert.Equal(2, Rewrite(model, new SteeringRewrite { Layers = LayerRange.Parse("0,2") }).Graph.Node.Count(node => node.OpType == "SteeredAttention"));
    }

    [Fact]
    public void Attention_Inside_Subgraphs_And_Functions_Is_Seen_And_Refused()
    {
        void Move(ModelProto model, IList<NodeProto> target)
        {
            NodeProto node = Attention(model, 1);
            model.Graph.Node.Remove(node);
            target.Add(node);
        }
        RefusedModel($"Cannot steer node '{Name(1)}' in subgraph 'then_branch' of node 'choice' (If)", model =>
        {
            GraphProto body = new() { Name = "body" };
            Move(model, body.Node);
            NodeProto choice = new() { Name = "choice", OpType = "If", Attribute = { new AttributeProto { Name = "then_branch", Type = AttributeProto.Types.Kind.Graph, G = body } } };
            GraphProto outer = new() { Node = { choice } };
            model.Graph.Node.Add(new NodeProto { Name = "loop", OpType = "Loop", Attribute = { new AttributeProto { Name = "body", Graphs = { outer } } } });
        });
        RefusedModel($"Cannot steer node '{Name(1)}' in function 'block'", model =>
        {
            FunctionProto function = new() { Name = "block" };
            Move(model, function.Node);
            model.Functions.Add(function);
        });
    }

    [Fact]
    public void Models_That_Cannot_Be_Rewritten_Say_Why()
    {
        RefusedModel("The model has no com.microsoft::GroupQueryAttention node", model =>
        {
            foreach (NodeProto node in model.Graph.Node)
            {
                node.Domain = "";
            }
        });
        RefusedModel($"Layer 2 has two GroupQueryAttention nodes, expected one: node '/second/layers.2/attn' and node '{Name(2)}'.", model => Attention(model, 0).Name = "/second/layers.2/attn");
        RefusedModel("The model has a value named 'token_speakers' already", model => model.Graph.Node[0].Output[0] = "token_speakers");
        RefusedModel("Layers '1,3': there is no layer 3, the model has 3 (0-2).", _ => { }, new SteeringRewrite { Layers = LayerRange.Parse("1,3") });
        RefusedModel("Layers '1': none of them has a GroupQueryAttention node, only layers 0, 2 have.", model => Attention(model, 1).OpType = "Other", new SteeringRewrite { Layers = LayerRange.Parse("1") });
        RefusedModel("Steering: Alpha is NaN, expected a finite number.", _ => { }, new SteeringRewrite { Alpha = float.NaN });
        RefusedModel("Steering: Lambda is NaN, expected a number.", _ => { }, new SteeringRewrite { Lambda = float.NaN });
        RefusedModel("Steering: Policy is 'loud', expected 'social' or 'none'.", _ => { }, new SteeringRewrite { Policy = "loud" });

        byte[] once = SteeredAttentionRewriter.Rewrite(DecoderGraphBuilder.Build(Config), new SteeringRewrite { Layers = LayerRange.Parse("0") }).Model;
        Assert.Contains("already", Assert.Throws<OnnxModelException>(() => SteeredAttentionRewriter.Rewrite(once)).Message, StringComparison.Ordinal);
    }

    private static string Name(int layer) => $"/model/layers.{layer}/attn/GroupQueryAttention";

    private static NodeProto Attention(ModelProto model, int layer) =>
        model.Graph.Node.Where(node => node.OpType is "GroupQueryAttention" or "SteeredAttention").ElementAt(layer);

    private static ModelProto Rewrite(ModelProto model, SteeringRewrite? steering = null) =>
        ModelProto.Parser.ParseFrom(SteeredAttentionRewriter.Rewrite(model.ToByteArray(), steering).Model);

    private static void RefusedModel(string message, Action<ModelProto> change, SteeringRewrite? steering = null)
    {
        ModelProto model = DecoderGraphBuilder.BuildModel(Config);
        change(model);
        OnnxModelException e = Assert.Throws<OnnxModelException>(() => Rewrite(model, steering));
        Assert.StartsWith(message, e.Message, StringComparison.Ordinal);
    }

    private static void RemoveLast<T>(IList<T> list, int count)
    {
        for (int i = 0; i < count; i++)
        {
            list.RemoveAt(list.Count - 1);
        }
    }
}
