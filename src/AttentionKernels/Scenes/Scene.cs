using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace AttentionKernels.Scenes;

/// <summary>A piece of conversation on video: sampled frames with the people in them, and the transcript. docs/scenes.md describes the JSON form.</summary>
/// <param name="Video">Size of the video; boxes are in its pixels.</param>
/// <param name="Frames">Sampled frames in order of time, at least one.</param>
/// <param name="Lines">Transcript in order of appearance in the prompt; may be empty.</param>
/// <param name="SystemPrompt">System prompt; null: the layout's own. JSON name: <c>system</c>.</param>
/// <param name="Question">What the model is asked after the transcript; null: nothing.</param>
public sealed record Scene(
    VideoSize Video,
    IReadOnlyList<SceneFrame> Frames,
    IReadOnlyList<SceneLine> Lines,
    [property: JsonPropertyName("system")] string? SystemPrompt = null,
    string? Question = null)
{
    /// <summary>People that a scene can have: the operators' speaker mask is a signed 64-bit integer.</summary>
    public const int MaxSpeakers = 63;

    // A scene of the largest allowed size has less than this; a bigger file is something else.
    private const long MaxFileBytes = 64L << 20;

    /// <summary>Everybody who speaks, then everybody who is only seen, each in order of first appearance. Speaker n has bit n in the roles.</summary>
    [JsonIgnore]
    public IReadOnlyList<string> Speakers =>
        [.. Lines.Select(line => line.Speaker)
            .Concat(Frames.SelectMany(frame => frame.Boxes).Select(box => box.Speaker))
            .Distinct(StringComparer.Ordinal)];

    /// <summary>Reads a scene from a JSON file.</summary>
    /// <exception cref="SceneException">The file cannot be read, is not JSON, or is not a valid scene.</exception>
    public static Scene Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        byte[] json = SceneFiles.ReadAllBytes(path, MaxFileBytes);
        try
        {
            return Parse(json);
        }
        catch (SceneException e)
        {
            throw new SceneException($"{path}: {e.Message}", e);
        }
    }

    /// <summary>Reads a scene from JSON text.</summary>
    /// <exception cref="SceneException">The text is not JSON, or is not a valid scene.</exception>
    public static Scene Parse(string json)
    {
        ArgumentNullException.ThrowIfNull(json);
        return Parse(Encoding.UTF8.GetBytes(json));
    }

    /// <summary>Reads a scene from UTF-8 JSON, with or without a byte order mark.</summary>
    /// <exception cref="SceneException">The bytes are not JSON, or are not a valid scene.</exception>
    public static Scene Parse(ReadOnlySpan<byte> utf8Json)
    {
        Scene scene;
        try
        {
            scene = JsonSerializer.Deserialize(SceneFiles.SkipByteOrderMark(utf8Json), SceneJson.Instance.Scene)
                ?? throw new SceneException("the document is null, expected a scene object");
        }
        catch (JsonException e)
        {
            throw new SceneException(JsonFault.Describe(e), e);
        }
        scene.Validate();
        return scene;
    }

    /// <summary>The scene as indented JSON.</summary>
    /// <exception cref="SceneException">The scene is not valid.</exception>
    public string ToJson()
    {
        Validate();
        return JsonSerializer.Serialize(this, SceneJson.Instance.Scene);
    }

    /// <summary>Writes the scene to a JSON file, over what is there.</summary>
    /// <exception cref="SceneException">The scene is not valid, or the file cannot be written.</exception>
    public void Save(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        SceneFiles.WriteAllText(path, ToJson() + "\n");
    }

    /// <summary>Checks every rule of the format. Parsing, saving and token building do it themselves.</summary>
    /// <exception cref="SceneException">A rule is broken; the message names the place, such as <c>frames[3].boxes[1]</c>.</exception>
    public void Validate() => SceneValidator.Check(this);
}
