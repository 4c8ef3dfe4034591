using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Tests.OnnxRuntime.Graph;

/// <summary>The generated model as a file: names, shapes, reproducible bytes, refused sizes.</summary>
public sealed class DecoderGraphBuilderTests
{
    [Fact]
    public void Equal_Configurations_Give_Equal_Bytes()
    {
        DecoderConfig config = new() { PlantHeads = true };
        byte[] bytes = DecoderGraphBuilder.Build(config);
        Assert.Equal(bytes, DecoderGraphBuilder.Build(new DecoderConfig { PlantHeads = true }));
        Assert.NotEqual(bytes, DecoderGraphBuilder.Build(config with { Seed = 2 }));
        Assert.NotEqual(bytes, DecoderGraphBuilder.Build(config with { PlantHeads = false }));
    }

    [Theory]
    [InlineData(ElementType.Float32, OnnxElementType.Float)]
    [InlineData(ElementType.Float16, OnnxElementType.Float16)]
    public void Inputs_And_Outputs_Are_Those_Of_The_Exported_Text_Model(ElementType type, object weightType)
    {
        ModelProto model = DecoderGraphBuilder.BuildModel(new DecoderConfig { Type = type });
        string t = weightType.ToString()!;
        Assert.Equal(
            [
                $"inputs_embeds {t}[batch_size,sequence_length,64]",
                "attention_mask Int64[batch_size,total_sequence_length]",
                "position_ids Int64[3,batch_size,sequence_length]",
                .. from layer in Enumerable.Range(0, 2)
                   from name in new[] { "key", "value" }
                   select $"past_key_values.{layer}.{name} {t}[batch_size,2,past_sequence_length,16]",
            ],
            model.Graph.Input.Select(Describe));
        Assert.Equal(
            [
                $"logits {t}[batch_size,sequence_length,97]",
                .. from layer in Enumerable.Range(0, 2)
                   from name in new[] { "key", "value" }
                   select $"present.{layer}.{name} {t}[batch_size,2,total_sequence_length,16]",
            ],
            model.Graph.Output.Select(Describe));
    }

    [Fact]
    public void Each_Layer_Has_One_Attention_Node_With_The_Exported_Name()
    {
        ModelProto model = DecoderGraphBuilder.BuildModel(new DecoderConfig { Layers = 3 });
        NodeProto[] nodes = [.. model.Graph.Node.Where(node => node.OpType == "GroupQueryAttention")];
        Assert.Equal(["/model/layers.0/attn/GroupQueryAttention", "/model/layers.1/attn/GroupQueryAttention", "/model/layers.2/attn/GroupQueryAttention"], nodes.Select(n => n.Name));
        Assert.All(nodes, node => Assert.Equal("com.microsoft", node.Domain));
        Assert.All(nodes, node => Assert.Equal(7, node.Input.Count));
        Assert.Single(nodes.Select(node => (node.Input[5], node.Input[6])).Distinct());
    }

    [Fact]
    public void Every_Value_Is_Defined_Once_And_Before_Its_Use()
    {
        GraphProto graph = DecoderGraphBuilder.BuildModel(new DecoderConfig { ExportQueries = true }).Graph;
        HashSet<string> defined = [];
        Assert.All(graph.Input.Select(i => i.Name).Concat(graph.Initializer.Select(i => i.Name)), name => Assert.True(defined.Add(name), name));
        foreach (NodeProto node in graph.Node)
        {
            Assert.All(node.Input, name => Assert.Contains(name, defined));
            Assert.All(node.Output, name => Assert.True(defined.Add(name), name));
        }
        Assert.All(graph.Output, output => Assert.Contains(output.Name, defined));
        Assert.Equal(graph.Node.Count, graph.Node.Select(node => node.Name).Distinct().Count());
    }

    [Fact]
    public void Weights_Have_The_Counted_Size()
    {
        foreach (DecoderConfig config in (DecoderConfig[])[new(), new() { Type = ElementType.Float16, Layers = 3, PlantHeads = true }])
        {
            GraphProto graph = DecoderGraphBuilder.BuildModel(config).Graph;
            long bytes = graph.Initializer.Where(tensor => tensor.Name.EndsWith(".weight", StringComparison.Ordinal) || tensor.Name.EndsWith(".bias", StringComparison.Ordinal))
                .Sum(tensor => (long)tensor.RawData.Length);
            Assert.Equal(config.WeightBytes, bytes);
        }
    }

    [Fact]
    public void Wrong_Sizes_Are_Named()
    {
        DecoderConfig good = new();
        (DecoderConfig Config, string Message)[] cases =
        [
            (good with { Layers = 0 }, "Layers is 0, expected a positive number"),
            (good with { Heads = 5 }, "Heads is 5, expected a multiple of KvHeads = 2"),
            (good with { Type = ElementType.BFloat16 }, "Type is BFloat16, expected Float32 or Float16"),
            (good with { HeadSize = 12 }, "HeadSize is 12, expected a multiple of 8"),
            (good with { RopeTheta = float.NaN }, "RopeTheta is NaN"),
            (good with { RmsEpsilon = 0 }, "RmsEpsilon is 0"),
            (good with { Mrope = new MropeSections(1, 2, 3) }, "add up to HeadSize / 2 = 8"),
            (good with { Mrope = new MropeSections(-1, 4, 5) }, "not negative"),
            (good with { PlantHeads = true, Hidden = 5 }, "Hidden is 5, expected more than the 5 coordinates"),
            (good with { Vocabulary = int.MaxValue }, "less than 2 GiB"),
            (good with { Hidden = int.MaxValue, Heads = 1 << 20, KvHeads = 1 << 20, HeadSize = 1 << 20, Layers = int.MaxValue }, "less than 2 GiB"),
        ];
        Assert.All(cases, c => Assert.Contains(c.Message, Assert.Throws<OnnxModelException>(() => DecoderGraphBuilder.Build(c.Config)).Message, StringComparison.Ordinal));
    }

    [Fact]
    public void Sections_Keep_The_Proportions_Of_The_Original()
    {
        Assert.Equal(new MropeSections(16, 24, 24), MropeSections.For(128));
        Assert.Equal(new MropeSections(8, 12, 12), MropeSections.For(64));
        Assert.All(Enumerable.Range(1, 40).Select(i => 8 * i), size => Assert.Equal(size / 2, MropeSections.For(size).Sum));
    }

    private static string Describe(ValueInfoProto value)
    {
        TypeProto.Types.Tensor tensor = value.Type.TensorType;
        IEnumerable<string> dims = tensor.Shape.Dim.Select(d => d.SizeCase == TensorShapeProto.Types.Dimension.SizeOneofCase.DimParam ? d.DimParam : d.DimValue.ToString());
        return $"{value.Name} {(OnnxElementType)tensor.ElemType}[{string.Join(',', dims)}]";
    }
}
