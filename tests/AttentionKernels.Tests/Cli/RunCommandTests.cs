using System.Globalization;
using System.Text.Json;
using AttentionKernels.Cli;
using AttentionKernels.Cli.Report;
using AttentionKernels.Cli.Run;
using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Scenes;

namespace AttentionKernels.Tests.Cli;

/// <summary>attnk run from the command line to its report.</summary>
public sealed class RunCommandTests : IDisposable
{
    private readonly RunFiles _files = new();

    public void Dispose() => _files.Dispose();

    [Fact]
    public void The_Report_Holds_What_The_Operator_Gave()
    {
        _files.WithModel();
        Dictionary<string, float[]> measured = RunOperator(new SteeringRewrite { Layers = LayerRange.Parse("0,2"), Policy = "none" });
        // Of layer 0, whose input nothing has steered, half of the heads become active.
        float lambda = measured["head_scores.0"].Order().ElementAt((RunFiles.Config.Heads / 2) - 1);
        ToolRun run = Run("--layers", "0,2", "--alpha", "0.5", "--lambda", lambda.ToString("r", CultureInfo.InvariantCulture), "--json", _files.Json);
        Assert.Equal((ExitCode.Success, true), (run.Code, run.Words.Contains("only rounding", StringComparison.Ordinal)));
        Assert.Contains("weights are random", run.Output, StringComparison.Ordinal);
        Assert.Contains("embeddings are synthetic", run.Output, StringComparison.Ordinal);
        Assert.Contains($"Every number is in {_files.Json}.", run.Output, StringComparison.Ordinal);

        JsonElement report = ReadReport();
        Dictionary<string, float[]> steered = RunOperator(new SteeringRewrite { Layers = LayerRange.Parse("0,2"), Alpha = 0.5f, Lambda = lambda });
        JsonElement[] layers = [.. report.GetProperty("layers").EnumerateArray()];
        Assert.Equal([0, 2], layers.Select(layer => layer.GetProperty("layer").GetInt32()));
        foreach (JsonElement layer in layers)
        {
            int index = layer.GetProperty("layer").GetInt32();
            JsonElement[] heads = [.. layer.GetProperty("heads").EnumerateArray()];
            Assert.Equal(RunFiles.Config.Heads, heads.Length);
            Assert.Equal(steered[$"head_scores.{index}"], heads.Select(head => head.GetProperty("score").GetSingle()));
            Assert.Equal(measured[$"head_scores.{index}"], heads.Select(head => head.GetProperty("measuredScore").GetSingle()));
            Assert.Equal(steered[$"alignment.{index}"], heads.SelectMany(head => Alignment(head.GetProperty("alignment"))).Select(value => (float)value));
            Assert.All(heads, head => Assert.Equal(head.GetProperty("score").GetSingle() > lambda, head.GetProperty("active").GetBoolean()));

            JsonElement[] activeHeads = [.. heads.Where(head => head.GetProperty("active").GetBoolean())];
            Assert.Equal(activeHeads.Length, layer.GetProperty("activeHeads").GetInt32());
            for (int i = 0; i < 4 && activeHeads.Length > 0; i++)
            {
                Assert.Equal(activeHeads.Average(head => Alignment(head.GetProperty("alignment"))[i]), Alignment(layer.GetProperty("activeAlignment"))[i], 1e-12);
            }
        }
        Assert.Equal(RunFiles.Config.Heads / 2, layers[0].GetProperty("activeHeads").GetInt32());

        JsonElement check = report.GetProperty("check");
        Assert.True(check.GetProperty("passed").GetBoolean());
        Assert.Equal(LargestDifference(RunOperator(null)["logits"], measured["logits"]), check.GetProperty("rewriting").GetProperty("largest").GetDouble());
        Assert.Equal(LargestDifference(RunOperator(null)["logits"], steered["logits"]), check.GetProperty("steering").GetProperty("largest").GetDouble());
        Assert.True(check.GetProperty("steering").GetProperty("largest").GetDouble() > check.GetProperty("allowed").GetDouble());

        JsonElement settings = report.GetProperty("settings");
        Assert.Equal(("social", 0.5f, lambda), (settings.GetProperty("policy").GetString(), settings.GetProperty("alpha").GetSingle(), settings.GetProperty("lambda").GetSingle()));
        foreach (string variant in (string[])["builtIn", "measured", "steered"])
        {
            JsonElement time = report.GetProperty("times").GetProperty(variant);
            Assert.Equal(report.GetProperty("times").GetProperty("rounds").GetInt32(), time.GetProperty("runsMs").GetArrayLength());
            Assert.True(time.GetProperty("medianMs").GetDouble() > 0);
        }
    }

    [Fact]
    public void The_Scene_Is_Counted_As_The_Operator_Sees_It()
    {
        _files.WithModel();
        Assert.Equal(ExitCode.Success, Run("--json", _files.Json).Code);
        SceneTokens tokens = RunFiles.Tokens;
        JsonElement scene = ReadReport().GetProperty("scene");
        Assert.Equal(tokens.Length, scene.GetProperty("tokens").GetInt32());
        Assert.Equal(tokens.Utterances.Sum(line => line.EndToken - line.FirstToken), scene.GetProperty("spokenTokens").GetInt32());
        Assert.Equal(
            Enumerable.Range(0, tokens.Length).Count(t => tokens.Modality[t] == (byte)Modality.Visual && tokens.Speakers[t] != 0),
            scene.GetProperty("boxedTokens").GetInt32());
        Assert.Equal(["Ann", "Bob"], scene.GetProperty("speakers").EnumerateArray().Select(speaker => speaker.GetProperty("name").GetString()));
    }

    [Fact]
    public void Policy_None_Measures_And_Steers_Nothing()
    {
        _files.WithModel();
        ToolRun run = Run("--policy", "none", "--layers", "all", "--lambda", "0", "--json", _files.Json);
        Assert.Equal(ExitCode.Success, run.Code);
        JsonElement report = ReadReport();
        Assert.Equal(JsonValueKind.Null, report.GetProperty("times").GetProperty("steered").ValueKind);
        Assert.Equal(JsonValueKind.Null, report.GetProperty("check").GetProperty("steering").ValueKind);
        Assert.All(
            report.GetProperty("layers").EnumerateArray().SelectMany(layer => layer.GetProperty("heads").EnumerateArray()),
            head =>
            {
                double[] alignment = Alignment(head.GetProperty("alignment"));
                Assert.True(alignment[0] > 0);
                Assert.Equal((alignment[0], alignment[2]), (alignment[1], alignment[3]));
            });
    }

    [Fact]
    public void Without_A_Json_Option_Nothing_Is_Written()
    {
        _files.WithModel();
        string[] before = Directory.GetFileSystemEntries(_files.Folder);
        Assert.Equal(ExitCode.Success, Run().Code);
        Assert.Equal(before, Directory.GetFileSystemEntries(_files.Folder));
    }

    [Fact]
    public void A_Float16_Model_Runs()
    {
        _files.WithModel(RunFiles.Config with { Type = ElementType.Float16 });
        ToolRun run = Run("--json", _files.Json);
        Assert.Equal((ExitCode.Success, ""), (run.Code, string.Concat(run.Error.Split('\n').Where(line => !line.StartsWith("attnk: ", StringComparison.Ordinal)))));
        Assert.Equal("float16", ReadReport().GetProperty("model").GetProperty("elementType").GetString());
    }

    [Fact]
    public void An_Unknown_Input_Is_Named_And_Nothing_Runs()
    {
        _files.WithModel(change: model => model.Graph.Input.Add(GraphWriter.Value("pixel_values", OnnxElementType.Float, "patches", 1176)));
        ToolRun run = Run("--json", _files.Json);
        Assert.Equal((ExitCode.Failure, ""), (run.Code, run.Output));
        Assert.Contains("inputs that this tool cannot fill: 'pixel_values' (float32 [patches, 1176])", run.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(_files.Json));
    }

    [Fact]
    public void A_Layer_That_The_Model_Lacks_Is_A_Failure()
    {
        _files.WithModel();
        ToolRun run = Run("--layers", "1-3");
        Assert.Equal(ExitCode.Failure, run.Code);
        Assert.Contains("there is no layer 3", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_Model_Without_Attention_Nodes_Is_Refused()
    {
        _files.WithModel(change: model =>
        {
            foreach (NodeProto node in model.Graph.Node.Where(node => node.OpType == "GroupQueryAttention"))
            {
                node.OpType = "MultiHeadAttention";
            }
        });
        ToolRun run = Run();
        Assert.Equal(ExitCode.Failure, run.Code);
        Assert.Contains("GroupQueryAttention", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_Models_Own_Metadata_Must_Fit_It()
    {
        _files.WithModel(change: model => model.MetadataProps[0].Value = model.MetadataProps[0].Value.Replace("\"Hidden\":64", "\"Hidden\":72", StringComparison.Ordinal));
        Assert.Contains("inputs_embeds has 64 columns", Run().Error, StringComparison.Ordinal);
        _files.WithModel(change: model => model.MetadataProps[0].Value = "{");
        Assert.Contains("is not a decoder configuration", Run().Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_Difference_Beyond_Rounding_Does_Not_Pass()
    {
        _files.WithModel();
        RunRequest request = Request() with { Steering = new SteeringSettings { Steer = false } };
        RewrittenModel other = DecoderModel.Generate(RunFiles.Config with { Seed = 2 }).Rewrite(new SteeringRewrite { Policy = "none" });
        SceneTokens tokens = RunFiles.Tokens;
        using PrefillComparison prefills = new(
            request.Model, tokens, TokenEmbeddings.Synthetic(tokens, RunFiles.Config), other, steered: null, threads: 1, CancellationToken.None);
        foreach (Variant variant in prefills.Variants)
        {
            prefills.Open(variant);
            prefills.RunFirst(variant);
            prefills.RunTimed(variant);
        }
        RunReport report = RunReportBuilder.Build(request, tokens, other.Layers, prefills, interleaved: true);
        Assert.False(report.Check.Passed);
        Assert.True(report.Check.Rewriting.Largest > 100 * report.Check.Allowed);
    }

    [Fact]
    public void Models_That_Do_Not_Fit_Into_Memory_Together_Run_One_After_The_Other()
    {
        _files.WithModel();
        List<string> steps = [];
        RunReport together = SceneRunner.Run(Request(), new Watcher(_ => { }), CancellationToken.None);
        RunReport apart = SceneRunner.Run(Request() with { Memory = 0, Rounds = 1 }, new Watcher(steps.Add), CancellationToken.None);
        Assert.Equal((true, false), (together.Times.Interleaved, apart.Times.Interleaved));
        Assert.Equal(together.Layers.SelectMany(layer => layer.Heads), apart.Layers.SelectMany(layer => layer.Heads));
        Assert.Equal((together.Check.Rewriting, together.Check.Steering, together.Check.OneStep), (apart.Check.Rewriting, apart.Check.Steering, apart.Check.OneStep));
        Assert.Equal(
            [Variant.BuiltIn, Variant.BuiltIn, Variant.Measured, Variant.Measured, Variant.Steered, Variant.Steered],
            steps.Skip(1).Select(step => Enum.GetValues<Variant>().Single(variant => step.EndsWith(": " + variant.Name(), StringComparison.Ordinal))));
    }

    [Fact]
    public void Embeddings_From_A_File_Count_As_The_Synthetic_Ones_When_They_Are_The_Same()
    {
        _files.WithModel();
        string path = Path.Combine(_files.Folder, "embeds.npy");
        SceneTokens tokens = RunFiles.Tokens;
        File.WriteAllBytes(path, NpyFileTests.Npy(TokenEmbeddings.Synthetic(tokens, RunFiles.Config), $"(1, {tokens.Length}, 64)"));
        Assert.Equal(ExitCode.Success, Run("--json", _files.Json).Code);
        string synthetic = ReadReport().GetProperty("layers").GetRawText();
        ToolRun run = Run("--json", _files.Json, "--embeds", path);
        Assert.Equal(synthetic, ReadReport().GetProperty("layers").GetRawText());
        Assert.DoesNotContain("synthetic", run.Output, StringComparison.Ordinal);

        File.WriteAllBytes(path, NpyFileTests.Npy(new float[128], "(2, 64)"));
        run = Run("--embeds", path);
        Assert.Equal(ExitCode.Failure, run.Code);
        Assert.Contains($"the shape is (2, 64), expected ({tokens.Length}, 64) or (1, {tokens.Length}, 64)", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_Missing_Tokenizer_File_Is_Named()
    {
        _files.WithModel();
        Assert.Contains("vocab.json", Run("--tokenizer", _files.Folder).Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_Cancelled_Run_Ends_As_Ctrl_C_Does()
    {
        _files.WithModel();
        using CancellationTokenSource source = new();
        source.Cancel();
        ToolRun run = ToolRun.Of(source.Token, "run", "--model", _files.Model, "--scene", _files.ScenePath);
        Assert.Equal((ExitCode.Cancelled, "", "attnk: cancelled."), (run.Code, run.Output, run.Error.TrimEnd()));
    }

    [Theory]
    [InlineData("rewriting")]
    [InlineData("loading and warming up: SteeredAttention, measured")]
    [InlineData("timed run 2 of 3: ONNX")]
    public void A_Run_Can_Be_Cancelled_At_Any_Step(string step)
    {
        _files.WithModel();
        using CancellationTokenSource source = new();
        List<string> steps = [];
        Assert.ThrowsAny<OperationCanceledException>(() => SceneRunner.Run(Request(), new Watcher(report =>
        {
            steps.Add(report);
            if (report.StartsWith(step, StringComparison.Ordinal))
            {
                source.Cancel();
            }
        }), source.Token));
        Assert.StartsWith(step, steps[^1], StringComparison.Ordinal);
    }

    private static double[] Alignment(JsonElement alignment) =>
        [.. ((string[])["meanBefore", "meanAfter", "maxBefore", "maxAfter"]).Select(name => alignment.GetProperty(name).GetDouble())];

    private static double LargestDifference(float[] x, float[] y) => x.Zip(y, (a, b) => Math.Abs((double)a - b)).Max();

    private ToolRun Run(params string[] options) => ToolRun.Of(["run", "--model", _files.Model, "--scene", _files.ScenePath, .. options]);

    private RunRequest Request() => new() { Model = DecoderModel.Load(_files.Model), Scene = SceneInput.Load(_files.ScenePath) };

    private JsonElement ReadReport()
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(_files.Json));
        return document.RootElement.Clone();
    }

    /// <summary>Runs the model without the tool, rewritten if <paramref name="rewrite"/> is given, and returns every output but the cache.</summary>
    private Dictionary<string, float[]> RunOperator(SteeringRewrite? rewrite)
    {
        byte[] model = File.ReadAllBytes(_files.Model);
        SceneTokens tokens = RunFiles.Tokens;
        using OrtSessionOptions options = new();
        AttentionKernelsOps.Register(options);
        using OrtSession session = new(rewrite == null ? model : SteeredAttentionRewriter.Rewrite(model, rewrite).Model, options);
        Dictionary<string, OrtTensor> feeds = DecoderModel.Load(_files.Model).Inputs.CreateFeeds(tokens, TokenEmbeddings.Synthetic(tokens, RunFiles.Config));
        if (rewrite != null)
        {
            feeds.Add("token_modality", OrtTensor.Over(tokens.Modality, 1, tokens.Length));
            feeds.Add("token_speakers", OrtTensor.Over(tokens.Speakers, 1, tokens.Length));
            feeds.Add("token_frames", OrtTensor.Over(tokens.Frames, 1, tokens.Length, 2));
        }
        string[] names = [.. session.Outputs.Select(output => output.Name).Where(name => !name.StartsWith("present.", StringComparison.Ordinal))];
        OrtTensor[] outputs = session.Run(feeds, names);
        Dictionary<string, float[]> values = names.Zip(outputs).ToDictionary(pair => pair.First, pair => pair.Second.Span<float>().ToArray());
        foreach (OrtTensor tensor in feeds.Values.Concat(outputs))
        {
            tensor.Dispose();
        }
        return values;
    }

    private sealed class Watcher(Action<string> see) : IProgress<string>
    {
        public void Report(string value) => see(value);
    }
}
