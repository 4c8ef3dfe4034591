using System.Text;
using System.Text.Json;
using AttentionKernels.Scenes;

namespace AttentionKernels.Tests.Scenes;

public class SceneTests
{
    private const string Small = """
        {
          "video": { "width": 640, "height": 360 },
          "frames": [
            { "time": 0, "boxes": [{ "speaker": "Cy", "left": 1, "top": 2, "width": 3, "height": 4 }] },
            { "time": 1.5, "boxes": [] }
          ],
          "lines": [
            { "speaker": "Bo", "start": 0, "end": 1, "text": "Hi Ana." },
            { "speaker": "Ana", "start": 1, "end": 2, "text": "Hi." }
          ]
        }
        """;

    [Fact]
    public void A_Scene_Has_The_Fields_Of_Its_Json()
    {
        Scene scene = Scene.Parse(Small);
        Assert.Equal(new VideoSize(640, 360), scene.Video);
        Assert.Equal(new SpeakerBox("Cy", 1, 2, 3, 4), Assert.Single(scene.Frames[0].Boxes));
        Assert.Equal(1.5, scene.Frames[1].Time);
        Assert.Equal(new SceneLine("Ana", 1, 2, "Hi."), scene.Lines[1]);
        Assert.Null(scene.SystemPrompt);
        Assert.Null(scene.Question);
        Assert.Equal("Be brief.", Scene.Parse(Small.Insert(1, "\"system\": \"Be brief.\",")).SystemPrompt);
    }

    [Fact]
    public void Speakers_Are_Numbered_By_Lines_Then_Boxes() => Assert.Equal(["Bo", "Ana", "Cy"], Scene.Parse(Small).Speakers);

    [Fact]
    public void Writing_And_Reading_Gives_The_Same_Scene() => RandomScene.ForAll(seed =>
    {
        Scene scene = RandomScene.Create(seed);
        Scene again = Scene.Parse(scene.ToJson());
        Assert.Equal((scene.Video, scene.SystemPrompt, scene.Question), (again.Video, again.SystemPrompt, again.Question));
        Assert.Equal(scene.Lines, again.Lines);
        Assert.Equal(scene.Frames.Select(frame => frame.Time), again.Frames.Select(frame => frame.Time));
        Assert.Equal(scene.Frames.Select(frame => frame.Boxes), again.Frames.Select(frame => frame.Boxes));
        Assert.Equal(scene.ToJson(), again.ToJson());
    });

    [Fact]
    public void A_Saved_Scene_Loads_With_Or_Without_Byte_Order_Mark()
    {
        string path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():n}.json");
        try
        {
            Scene scene = RandomScene.Create(7);
            scene.Save(path);
            Assert.Equal(scene.ToJson(), Scene.Load(path).ToJson());
            File.WriteAllText(path, scene.ToJson(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: true));
            Assert.Equal(scene.ToJson(), Scene.Load(path).ToJson());
            File.WriteAllText(path, "{");
            Assert.StartsWith($"{path}: line 1", Assert.Throws<SceneException>(() => Scene.Load(path)).Message);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_File_That_Cannot_Be_Used_Is_Named()
    {
        string missing = Path.Combine(Path.GetTempPath(), Guid.NewGuid().ToString("n"), "scene.json");
        Assert.Contains(missing, Assert.Throws<SceneException>(() => Scene.Load(missing)).Message);
        Assert.Contains(missing, Assert.Throws<SceneException>(() => Scene.Parse(Small).Save(missing)).Message);
        Assert.Throws<SceneException>(() => Scene.Load(Path.GetTempPath()));
    }

    // "what stands in the text -> what is put there instead" and the message that must follow.
    [Theory]
    [InlineData("\"width\": 3", "\"width\": -4", "frames[0].boxes[0]: width is -4, expected > 0")]
    [InlineData("\"height\": 4", "\"height\": 0", "frames[0].boxes[0]: height is 0, expected > 0")]
    [InlineData("\"left\": 1", "\"left\": 1e999", "frames[0].boxes[0]: left is Infinity, expected a finite number up to 1e9")]
    [InlineData("\"speaker\": \"Cy\"", "\"speaker\": \"\"", "frames[0].boxes[0]: speaker is empty")]
    [InlineData("\"speaker\": \"Cy\"", "\"speaker\": \"C\\ny\"", "frames[0].boxes[0]: speaker has a line break at character 1")]
    [InlineData("\"speaker\": \"Cy\"", "\"speaker\": \" Cy\"", "frames[0].boxes[0]: speaker is ' Cy', expected no space at the ends")]
    [InlineData("\"time\": 1.5", "\"time\": 0", "frames[1]: time is 0, expected later than the frame before")]
    [InlineData("\"time\": 0", "\"time\": -1", "frames[0]: time is -1, expected >= 0")]
    [InlineData("\"end\": 2", "\"end\": 0.5", "lines[1]: end is 0.5, expected not before start (1)")]
    [InlineData("\"start\": 1", "\"start\": -1", "lines[1]: start is -1, expected >= 0")]
    [InlineData("Hi Ana.", "a\\u2028b", "lines[0]: text has a line break at character 1")]
    [InlineData("Hi Ana.", "a\\u0007", "lines[0]: text has control character U+0007 at character 1")]
    [InlineData("Hi Ana.", "  ", "lines[0]: text is empty")]
    [InlineData("\"width\": 640", "\"width\": 0", "video: width is 0, expected 1..16384")]
    [InlineData("\"height\": 360", "\"height\": 20000", "video: height is 20000, expected 1..16384")]
    [InlineData("\"boxes\": []", "\"boxes\": [null]", "frames[1].boxes[0]: is null, expected a box")]
    // The JSON reader's errors: line first.
    [InlineData("\"boxes\": []", "\"boxs\": []", "line 5, byte 27: frames[1].boxs: unknown field 'boxs'")]
    [InlineData("\"time\": 1.5, ", "", "line 5, byte 20: frames[1]: missing 'time'")]
    [InlineData("\"time\": 1.5", "\"time\": \"x\"", "line 5, byte 18: frames[1].time: expected a number")]
    [InlineData("\"width\": 640", "\"width\": 640.5", "line 2, byte 28: video.width: expected a whole number")]
    [InlineData("\"text\": \"Hi.\"", "\"text\": 7", "lines[1].text: expected a string")]
    [InlineData("\"boxes\": []", "\"boxes\": 7", "frames[1].boxes: expected a list")]
    [InlineData("{ \"width\": 640, \"height\": 360 }", "7", "line 2, byte 13: video: expected an object")]
    [InlineData("\"time\": 1.5", "\"time\": 1.5, \"time\": 2", "frames[1].time: field 'time' stands twice")]
    [InlineData("\"text\": \"Hi.\"", "\"text\": null", "lines[1].text: is null, expected a value")]
    [InlineData("\"text\": \"Hi.\"", "\"text\": \"\\ud83d\"", "lines[1].text: Cannot read incomplete UTF-16")]
    [InlineData("\"time\": 1.5", "\"time\": ", "line 5")]
    public void An_Error_Names_The_Place_And_The_Fault(string from, string to, string message)
    {
        Assert.Contains(from, Small);
        int at = Small.IndexOf(from, StringComparison.Ordinal);
        string text = Small[..at] + to + Small[(at + from.Length)..];
        Assert.Contains(message, Assert.Throws<SceneException>(() => Scene.Parse(text)).Message);
    }

    [Fact]
    public void Limits_Are_Enforced()
    {
        SceneFrame empty = new(0, []);
        Scene Lines(int speakers) => new(new VideoSize(64, 64), [empty], [.. Enumerable.Range(0, speakers).Select(n => new SceneLine($"S{n}", 0, 1, "x"))]);
        Lines(63).Validate();
        Assert.Equal("scene: 64 different speakers, expected at most 63", Assert.Throws<SceneException>(Lines(64).Validate).Message);
        Assert.Equal("lines: 10001 lines, expected at most 10000", Assert.Throws<SceneException>(Lines(10_001).Validate).Message);
        Scene frames = new(new VideoSize(64, 64), [.. Enumerable.Range(0, 1025).Select(n => new SceneFrame(n, []))], []);
        Assert.Equal("frames: 1025 frames, expected at most 1024", Assert.Throws<SceneException>(frames.Validate).Message);
        Assert.StartsWith("frames: ", Assert.Throws<SceneException>((frames with { Frames = [] }).Validate).Message);
        Scene half = Lines(1) with { Question = "a\ud83d" };
        Assert.Equal("question: the text has half of a surrogate pair at character 1", Assert.Throws<SceneException>(half.Validate).Message);
        Assert.Throws<SceneException>(() => half.ToJson());
    }

    [Fact]
    public void Damaged_Bytes_Give_A_SceneException_Or_A_Valid_Scene() => RandomScene.ForAll(
        seed =>
        {
            Random random = new(seed);
            byte[] json = Encoding.UTF8.GetBytes(RandomScene.Create(seed).ToJson());
            switch (random.Next(4))
            {
                case 0:
                    json = json[..random.Next(json.Length)];
                    break;
                case 1:
                    random.NextBytes(json);
                    break;
                case 2:
                    // Bytes that mean something to a JSON reader reach deeper than random ones.
                    for (int n = random.Next(1, 6); n > 0; n--)
                    {
                        json[random.Next(json.Length)] = (byte)"{}[]\",:0-e\\u.n\0\xff"[random.Next(16)];
                    }
                    break;
                default:
                    int from = random.Next(json.Length);
                    int length = random.Next(json.Length - from);
                    int at = random.Next(json.Length);
                    json = [.. json[..at], .. json[from..(from + length)], .. json[at..]];
                    break;
            }
            try
            {
                Scene.Parse(json).Validate();
            }
            catch (SceneException e)
            {
                Assert.NotEmpty(e.Message);
            }
        },
        cases: 3000);

    [Fact]
    public void Deep_Nesting_Is_A_SceneException() =>
        Assert.Throws<SceneException>(() => Scene.Parse(string.Concat(Enumerable.Repeat("{\"frames\":[", 5000))));

    [Fact]
    public void The_Shipped_Scene_Has_Four_Speakers_Whose_Boxes_Move_And_Overlap()
    {
        Scene scene = ShippedScene();
        Assert.Equal((new VideoSize(640, 360), 8), (scene.Video, scene.Frames.Count));
        Assert.Equal(["Maya", "Jonah", "Tomás", "Ines"], scene.Speakers);
        Assert.All(scene.Speakers, name => Assert.Contains(scene.Lines, line => line.Speaker == name));
        foreach (string name in scene.Speakers)
        {
            Assert.True(scene.Frames.SelectMany(frame => frame.Boxes).Where(box => box.Speaker == name).Select(box => box.Left).Distinct().Count() > 1, name);
        }
        SceneTokens tokens = SceneTokens.Create(scene, VisualGeometry.Qwen25Vl(scene.Video), new WordTokenizer(32_000));
        Assert.Contains(tokens.Speakers.Where((_, t) => tokens.Modality[t] == (byte)Modality.Visual), mask => long.PopCount(mask) > 1);
        Assert.InRange(tokens.Utterances[^1].EndToken - tokens.Utterances[0].FirstToken, 380, 440);
    }

    [Fact]
    public void The_Example_Of_The_Documentation_Is_A_Scene()
    {
        DirectoryInfo folder = new(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "docs", "scenes.md")))
        {
            folder = folder.Parent!;
        }
        string page = File.ReadAllText(Path.Combine(folder.FullName, "docs", "scenes.md"));
        Scene scene = Scene.Parse(page.Split("```json")[1].Split("```")[0]);
        Assert.Equal(["Maya", "Jonah"], scene.Speakers);
        Assert.NotNull(scene.SystemPrompt);
        Assert.NotNull(scene.Question);
    }

    internal static Scene ShippedScene()
    {
        using Stream stream = typeof(AttentionKernels.Cli.Tokenizers.QwenTokenizer).Assembly.GetManifestResourceStream("four-friends.json")!;
        using MemoryStream bytes = new();
        stream.CopyTo(bytes);
        return Scene.Parse(bytes.ToArray());
    }
}
