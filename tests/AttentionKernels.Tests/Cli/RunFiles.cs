using AttentionKernels.Cli.Run;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.Scenes;
using Google.Protobuf;

namespace AttentionKernels.Tests.Cli;

/// <summary>A folder with a tiny decoder and a tiny scene.</summary>
internal sealed class RunFiles : IDisposable
{
    /// <summary>Three layers, so that the default steers one and leaves one on either side.</summary>
    public static DecoderConfig Config { get; } = new()
    {
        Layers = 3,
        Hidden = 64,
        Heads = 4,
        KvHeads = 2,
        HeadSize = 32,
        Intermediate = 64,
        Vocabulary = 31,
        PlantHeads = true,
    };

    public static Scene Scene { get; } = new(
        new VideoSize(280, 280),
        [new SceneFrame(0, [new SpeakerBox("Ann", 0, 0, 100, 280), new SpeakerBox("Bob", 150, 0, 130, 280)]), new SceneFrame(2, [new SpeakerBox("Bob", 150, 0, 130, 280)])],
        [new SceneLine("Ann", 0, 1, "Look at me, Bob."), new SceneLine("Bob", 1.5, 2, "I do look at you.")],
        Question: "Who looks?");

    public RunFiles()
    {
        Folder = Directory.CreateTempSubdirectory("attnk").FullName;
        Model = Path.Combine(Folder, "model.onnx");
        ScenePath = Path.Combine(Folder, "scene.json");
        Json = Path.Combine(Folder, "out.json");
        Scene.Save(ScenePath);
    }

    public string Folder { get; }

    public string Model { get; }

    public string ScenePath { get; }

    /// <summary>Where a report may go; nothing is there yet.</summary>
    public string Json { get; }

    /// <summary>The scene as the tool lays it out.</summary>
    public static SceneTokens Tokens => SceneRunner.LayOut(Scene, tokenizerFolder: null, BoxRule.AnyOverlap);

    /// <summary>Writes the decoder, changed first by <paramref name="change"/>.</summary>
    public RunFiles WithModel(DecoderConfig? config = null, Action<ModelProto>? change = null)
    {
        ModelProto model = GeneratedDecoder.Build(config ?? Config);
        change?.Invoke(model);
        File.WriteAllBytes(Model, model.ToByteArray());
        return this;
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
