using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using Google.Protobuf;

namespace AttentionKernels.Tests.OnnxRuntime.Graph;

/// <summary>Rewritten decoders in ONNX Runtime, with our operator in place of its own.</summary>
public sealed class SteeredDecoderTests
{
    private static readonly DecoderConfig Config = new() { Layers = 3, PlantHeads = true };
    private static readonly DecoderInput Input = DecoderInput.Create(Config, prompt: 3, slots: 2, rows: 4, columns: 6, words: 24);

    [Theory]
    [InlineData(ElementType.Float32, "all")]
    [InlineData(ElementType.Float32, "1")]
    [InlineData(ElementType.Float16, "0-1")]
    public void Measuring_Only_Leaves_The_Logits_As_They_Are(ElementType type, string layers)
    {
        DecoderConfig config = Config with { Type = type };
        using DecoderSession session = new(config, Rewrite(config, new SteeringRewrite { Layers = LayerRange.Parse(layers), Policy = "none" }));
        float[] logits = session.Run(Input, "logits")["logits"];
        DecoderTolerance.Check(layers, config, Input, logits);
    }

    [Fact]
    public void Steering_Draws_Attention_And_Reports_It()
    {
        SteeringRewrite steering = new() { Layers = LayerRange.Parse("1-2"), Lambda = 0 };
        using DecoderSession session = new(Config, Rewrite(Config, steering));
        Assert.Equal(["head_scores.1", "alignment.1", "head_scores.2", "alignment.2"], session.Names.Outputs.TakeLast(4));
        Dictionary<string, float[]> steered = session.Run(Input, "logits", "head_scores.1", "alignment.1", "head_scores.2");

        using DecoderSession plain = new(Config);
        Assert.NotEqual(plain.Run(Input, "logits")["logits"], steered["logits"]);
        Assert.Equal(Config.Heads, steered["head_scores.1"].Length);
        Assert.All(steered["head_scores.1"].Concat(steered["head_scores.2"]), score => Assert.InRange(score, 1e-9f, 1));
        float[][] alignment = [.. steered["alignment.1"].Chunk(4)];
        Assert.Equal(Config.Heads, alignment.Length);
        Assert.All(alignment, a => Assert.True(a[1] > a[0] && a[3] > a[2], $"before and after: {string.Join(' ', a)}"));
    }

    [Fact]
    public void Decoding_Continues_After_A_Steered_Prefill()
    {
        // With strength 0 every step has to be a step of the plain decoder: cache, lengths and roles of the whole sequence go with it.
        using DecoderSession session = new(Config, Rewrite(Config, new SteeringRewrite { Alpha = 0 }));
        int prompt = Input.Length - 3;
        List<float> logits = [.. session.Run([Input], 0, prompt, ["logits"])["logits"]];
        for (int t = prompt; t < Input.Length; t++)
        {
            logits.AddRange(session.Run([Input], t, t + 1, ["logits"])["logits"]);
        }
        DecoderTolerance.Check("steps", Config, Input, [.. logits]);
    }

    [Fact]
    public void External_Data_Keeps_Working_Beside_The_Original()
    {
        using TemporaryFolder folder = new();
        SteeringRewrite steering = new() { Layers = LayerRange.Parse("2") };
        byte[] original = SaveWithExternalData(folder.File("model.onnx"), folder.File("weights.bin"));
        RewrittenModel rewritten = SteeredAttentionRewriter.RewriteFile(folder.File("model.onnx"), folder.File("steered.onnx"), steering);
        Assert.Equal(["weights.bin"], rewritten.ExternalData);
        Assert.Equal(original, File.ReadAllBytes(folder.File("model.onnx")));
        Assert.Equal(rewritten.Model, File.ReadAllBytes(folder.File("steered.onnx")));
        Assert.Equal(3, Directory.GetFiles(Path.GetDirectoryName(folder.File("x"))!).Length);

        using DecoderSession inside = new(Config, Rewrite(Config, steering));
        float[] expected = inside.Run(Input, "logits")["logits"];
        using DecoderSession fromFile = new(Config, options => new OrtSession(folder.File("steered.onnx"), options));
        Assert.Equal(expected, fromFile.Run(Input, "logits")["logits"]);
    }

    [Fact]
    public void Bytes_Find_External_Data_When_Told_The_Folder()
    {
        // The way for folders that cannot be written to.
        using TemporaryFolder folder = new();
        string model = folder.File("model.onnx");
        SaveWithExternalData(model, folder.File("weights.bin"));
        DecoderSession Load() => new(Config, options =>
        {
            options.AddConfigEntry("session.model_external_initializers_file_folder_path", Path.GetDirectoryName(model)!);
            return new OrtSession(SteeredAttentionRewriter.Rewrite(model).Model, options);
        });
        if (OrtApi.Default.Minor < 21)
        {
            Assert.Contains("weights.bin", Assert.Throws<OrtException>(Load).Message, StringComparison.Ordinal);
            return;
        }
        using DecoderSession inside = new(Config, Rewrite(Config, new SteeringRewrite()));
        using DecoderSession fromBytes = Load();
        Assert.Equal(inside.Run(Input, "logits")["logits"], fromBytes.Run(Input, "logits")["logits"]);
    }

    [Fact]
    public void Files_Are_Not_Separated_From_Their_Data_Nor_Overwritten()
    {
        using TemporaryFolder folder = new();
        string model = folder.File("model.onnx"), weights = folder.File("weights.bin");
        SaveWithExternalData(model, weights);
        Directory.CreateDirectory(folder.File("other"));
        string Refusal(string output) => Assert.Throws<OnnxModelException>(() => SteeredAttentionRewriter.RewriteFile(model, output)).Message;

        Assert.Contains("keeps weights in 'weights.bin'", Refusal(Path.Combine(folder.File("other"), "steered.onnx")), StringComparison.Ordinal);
        Assert.Contains("would overwrite", Refusal(model), StringComparison.Ordinal);
        Assert.Contains("would overwrite", Refusal(weights), StringComparison.Ordinal);

        File.WriteAllBytes(model, DecoderGraphBuilder.Build(Config));
        Assert.Contains("Cannot write the model", Refusal(folder.File("missing/steered.onnx")), StringComparison.Ordinal);
        Assert.Empty(SteeredAttentionRewriter.RewriteFile(model, Path.Combine(folder.File("other"), "steered.onnx")).ExternalData);
    }

    private static byte[] Rewrite(DecoderConfig config, SteeringRewrite steering) => SteeredAttentionRewriter.Rewrite(DecoderGraphBuilder.Build(config), steering).Model;

    private static byte[] SaveWithExternalData(string path, string dataPath)
    {
        ModelProto model = DecoderGraphBuilder.BuildModel(Config);
        using MemoryStream data = new();
        foreach (TensorProto tensor in model.Graph.Initializer.Where(tensor => tensor.RawData.Length >= 1024))
        {
            tensor.DataLocation = TensorProto.Types.Location.External;
            tensor.ExternalData.Add(
            [
                new StringStringEntryProto { Key = "location", Value = Path.GetFileName(dataPath) },
                new StringStringEntryProto { Key = "offset", Value = $"{data.Position}" },
                new StringStringEntryProto { Key = "length", Value = $"{tensor.RawData.Length}" },
            ]);
            tensor.RawData.WriteTo(data);
            tensor.ClearRawData();
        }
        Assert.True(data.Length > 0);
        File.WriteAllBytes(dataPath, data.ToArray());
        byte[] bytes = model.ToByteArray();
        File.WriteAllBytes(path, bytes);
        return bytes;
    }
}
