using AttentionKernels.Scenes;

namespace AttentionKernels.Cli.Run;

/// <summary>A scene and where it comes from.</summary>
/// <param name="Name">What reports call it.</param>
/// <param name="Scene">The scene.</param>
internal sealed record SceneInput(string Name, Scene Scene)
{
    private const string ShippedName = "four-friends";

    /// <summary>The scene inside this tool: four people, invented.</summary>
    public static SceneInput Shipped()
    {
        using Stream stream = typeof(SceneInput).Assembly.GetManifestResourceStream(ShippedName + ".json")!;
        using MemoryStream json = new();
        stream.CopyTo(json);
        return new SceneInput(ShippedName, Scene.Parse(json.ToArray()));
    }

    /// <summary>Reads a scene from a JSON file.</summary>
    /// <exception cref="SceneException">The file is not a scene.</exception>
    public static SceneInput Load(string path) => new(path, Scene.Load(path));
}
