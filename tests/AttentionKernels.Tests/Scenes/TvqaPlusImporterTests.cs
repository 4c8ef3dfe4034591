using System.Globalization;
using AttentionKernels.Scenes;

namespace AttentionKernels.Tests.Scenes;

public sealed class TvqaPlusImporterTests : IDisposable
{
    private const string Questions = """
        [
        {"qid": 7, "vid_name": "clip_a", "q": "Why did Raj hug Penny ?", "answer_idx": "1", "ts": [1.0, 5.4],
         "a0": "Raj was sad .", "a1": "penny's idea .", "a2": "Nobody knows .", "a3": "Howard said so .", "a4": "Rajesh .",
         "bbox": {"13": [{"img_id": 13, "label": "Raj", "left": 600, "top": -10, "width": 100, "height": 50},
                         {"img_id": 13, "label": "door", "left": 0, "top": 0, "width": 10, "height": 10}],
                  "1": [{"img_id": 1, "label": "Raj", "left": 136, "top": 14, "width": 256, "height": 346},
                        {"img_id": 1, "label": "penny", "left": 84, "top": 28, "width": 497, "height": 332}],
                  "7": [{"img_id": 7, "label": "Penny", "left": 700, "top": 0, "width": 10, "height": 10}],
                  "19": []}},
        {"qid": 8, "vid_name": "clip_a", "q": "Q", "ts": [0, 1], "a0": "A", "a1": "A", "a2": "A", "a3": "A", "a4": "A",
         "bbox": {"1": [{"label": "door", "left": 0, "top": 0, "width": 10, "height": 10}]}},
        {"qid": 9, "vid_name": "clip_b", "q": "Q", "ts": [3], "a0": "A", "a1": "A", "a2": "A", "a3": "A", "a4": "A", "bbox": {}},
        {"qid": 10, "vid_name": "clip_b", "q": "Q", "ts": [3, 4], "a0": "A", "a1": "A", "a2": "A", "a3": "A", "a4": "A", "bbox": {"x": []}}
        ]
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("tvqa").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Named_Characters_Become_Speakers_With_Clipped_Boxes()
    {
        TvqaPlusImport import = Import(Questions, new TvqaPlusRequest { QuestionId = 7 });
        Scene scene = import.Scene;
        Assert.Equal((7, "clip_a", new VideoSize(640, 360)), (import.QuestionId, import.VideoName, scene.Video));
        Assert.Equal([0, 2, 4, 6], scene.Frames.Select(frame => frame.Time));
        Assert.Equal([new SpeakerBox("Raj", 136, 14, 256, 346), new SpeakerBox("Penny", 84, 28, 497, 332)], scene.Frames[0].Boxes);
        Assert.Empty(scene.Frames[1].Boxes);
        Assert.Equal([new SpeakerBox("Raj", 600, 0, 40, 40)], scene.Frames[2].Boxes);
        Assert.Empty(scene.Frames[3].Boxes);
        Assert.Contains("1 boxes without an area inside the picture were left out.", import.Notes);
        Assert.Contains("The question has 4 annotated frames, fewer than the 8 asked for.", import.Notes);
    }

    [Fact]
    public void Without_Subtitles_Sentences_Stand_In_For_Lines_And_The_Notes_Say_So()
    {
        TvqaPlusImport import = Import(Questions, new TvqaPlusRequest { QuestionId = 7 });
        Assert.Equal(
            [("Penny", "Why did Raj hug Penny?"), ("Raj", "Why did Raj hug Penny?"), ("Raj", "Raj was sad."), ("Penny", "penny's idea.")],
            import.Scene.Lines.Select(line => (line.Speaker, line.Text)));
        Assert.All(import.Scene.Lines, line => Assert.Equal((1.0, 5.4), (line.Start, line.End)));
        Assert.Contains(import.Notes, note => note.Contains("no dialogue", StringComparison.Ordinal));
        Assert.Equal("Why did Raj hug Penny?\nA. Raj was sad.\nB. penny's idea.\nC. Nobody knows.\nD. Howard said so.\nE. Rajesh.", import.Scene.Question);
    }

    [Fact]
    public void With_Subtitles_The_Dialogue_Of_The_Questions_Time_Is_The_Transcript()
    {
        string subtitles = Path.Combine(_folder, "clip_a.srt");
        File.WriteAllText(subtitles, """
            1
            00:00:00,000 --> 00:00:00,900
            (Raj:)Too early.

            2
            00:00:00,900 --> 00:00:02,000
            (PENNY:)In time.

            3
            00:00:02,000 --> 00:00:03,000
            Waitress: Me too.
            (laughter)

            4
            00:00:05,500 --> 00:00:06,000
            no name
            """);
        TvqaPlusImport import = Import(Questions, new TvqaPlusRequest { QuestionId = 7, SubtitlePath = subtitles });
        Assert.Equal(
            [new SceneLine("Penny", 0.9, 2, "In time."), new SceneLine("Waitress", 2, 3, "Me too. (laughter)")],
            import.Scene.Lines);
        Assert.Contains("1 lines of the subtitles name no speaker and were left out.", import.Notes);
        Assert.DoesNotContain(import.Notes, note => note.Contains("no dialogue", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(1, "0 2 4 6 8 10", "6")]
    [InlineData(2, "0 2 4 6 8 10", "0 10")]
    [InlineData(3, "0 2 4 6 8 10", "0 4 10")]
    [InlineData(6, "0 2 4 6 8 10", "0 2 4 6 8 10")]
    public void Frames_Are_Sampled_Evenly(int count, string annotated, string sampled)
    {
        string frames = string.Join(',', annotated.Split(' ').Select(time =>
            $$"""
            "{{(3 * int.Parse(time, CultureInfo.InvariantCulture)) + 1}}": [{"label": "Amy", "left": 0, "top": 0, "width": 9, "height": 9}]
            """));
        string json = Question(frames);
        Scene scene = Import(json, new TvqaPlusRequest { VideoName = "v", FrameCount = count }).Scene;
        Assert.Equal(sampled, string.Join(' ', scene.Frames.Select(frame => frame.Time)));
    }

    [Fact]
    public void A_Clip_Is_Found_By_Video_Name()
    {
        TvqaPlusImport import = Import(Questions, new TvqaPlusRequest { VideoName = "clip_a" });
        Assert.Equal(7, import.QuestionId);
        Assert.Contains("2 questions match; this is the first, 7.", import.Notes);
        Assert.Equal(7, Import(Questions, new TvqaPlusRequest { VideoName = "clip_a", QuestionId = 7 }).QuestionId);
    }

    [Theory]
    [InlineData(99, null, "no question 99 among the 4 questions of the file")]
    [InlineData(null, "clip_z", "no question about 'clip_z' among the 4 questions of the file")]
    [InlineData(7, "clip_b", "no question 7 about 'clip_b' among the 4 questions of the file")]
    [InlineData(8, null, "question 8: no named character is in a sampled frame")]
    [InlineData(9, null, "question 9: ts is [3], expected a start and an end in seconds")]
    [InlineData(10, null, "question 10: bbox has key 'x', expected a frame number from 1 on")]
    public void An_Unusable_Question_Is_Named(int? id, string? video, string message)
    {
        TvqaPlusRequest request = new() { QuestionId = id, VideoName = video };
        Assert.Contains(message, Assert.Throws<SceneException>(() => Import(Questions, request)).Message);
    }

    [Theory]
    [InlineData("[{\"qid\": \"seven\"}]", "line 1, byte 17: [0].qid: expected a number")]
    [InlineData("[{\"qid\": 7}]", "[0]: missing 'vid_name'")]
    [InlineData("[null]", "[0]: is null")]
    [InlineData("null", "the document is null")]
    [InlineData("[\n{\"qid\": 7,", "line 2")]
    [InlineData("", "line 1")]
    public void Malformed_Json_Names_The_Place(string json, string message) =>
        Assert.Contains(message, Assert.Throws<SceneException>(() => Import(json, new TvqaPlusRequest { QuestionId = 7 })).Message);

    [Fact]
    public void Null_Boxes_Are_Named()
    {
        Assert.Contains("bbox['1']", Assert.Throws<SceneException>(() => Import(Question("\"1\": null"), new TvqaPlusRequest { QuestionId = 1 })).Message);
        Assert.Contains("bbox['1']", Assert.Throws<SceneException>(() => Import(Question("\"1\": [null]"), new TvqaPlusRequest { QuestionId = 1 })).Message);
    }

    [Fact]
    public void A_Request_Without_A_Question_Is_Refused()
    {
        Assert.Throws<ArgumentException>(() => Import(Questions, new TvqaPlusRequest()));
        Assert.Throws<ArgumentOutOfRangeException>(() => Import(Questions, new TvqaPlusRequest { QuestionId = 7, FrameCount = 0 }));
        Assert.Throws<SceneException>(() => TvqaPlusImporter.Load(Path.Combine(_folder, "none.json"), new TvqaPlusRequest { QuestionId = 7 }));
        Assert.Throws<SceneException>(() => Import(Questions, new TvqaPlusRequest { QuestionId = 7, SubtitlePath = Path.Combine(_folder, "none.srt") }));
    }

    [Fact]
    public void Damaged_Files_Give_A_SceneException_Or_A_Valid_Scene() => RandomScene.ForAll(seed =>
    {
        Random random = new(seed);
        char[] text = Questions.ToCharArray();
        for (int n = random.Next(1, 6); n > 0; n--)
        {
            text[random.Next(text.Length)] = "{}[]\",:0-e\\1.n\0é"[random.Next(16)];
        }
        try
        {
            Import(new string(text), new TvqaPlusRequest { QuestionId = 7 }).Scene.Validate();
        }
        catch (SceneException e)
        {
            Assert.NotEmpty(e.Message);
        }
    });

    /// <summary>The published validation file where a checkout has it beside it, else the file above: the properties are checked either way.</summary>
    [Fact]
    public void A_Real_Clip_Becomes_Roles_In_Which_Characters_Have_Boxes_And_Words()
    {
        string? published = FindPublished();
        int[] questions = published == null ? [7] : [133290, 127760, 125418, 124115, 134549];
        foreach (int question in questions)
        {
            TvqaPlusRequest request = new() { QuestionId = question };
            TvqaPlusImport import = published == null ? Import(Questions, request) : TvqaPlusImporter.Load(published, request);
            Scene scene = import.Scene;
            Assert.InRange(scene.Frames.Count, 1, 8);
            Assert.NotEmpty(scene.Lines);
            Assert.All(scene.Speakers, name => Assert.Contains(name, TvqaPlusImporter.Characters));
            foreach (SpeakerBox box in scene.Frames.SelectMany(frame => frame.Boxes))
            {
                Assert.True(box.Left >= 0 && box.Top >= 0 && box.Left + box.Width <= 640 && box.Top + box.Height <= 360, box.ToString());
            }
            // Three frames per second, counted from 1: the frames lie around the question's time.
            Assert.InRange(scene.Frames[0].Time, scene.Lines[0].Start - 2, scene.Lines[0].Start);
            Assert.InRange(scene.Frames[^1].Time, scene.Lines[0].Start, scene.Lines[0].End + 2);
            Assert.Equal(scene.ToJson(), Scene.Parse(scene.ToJson()).ToJson());
            SceneTokens tokens = SceneTokens.Create(scene, VisualGeometry.Qwen25Vl(scene.Video), new WordTokenizer(1000));
            Assert.Contains(Enumerable.Range(0, tokens.Length), t => tokens.Modality[t] == (byte)Modality.Visual && tokens.Speakers[t] != 0);
            Assert.Contains(Enumerable.Range(0, tokens.Length), t => tokens.Modality[t] == (byte)Modality.Text && tokens.Speakers[t] != 0);
        }
    }

    private static string? FindPublished()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder != null; folder = folder.Parent)
        {
            string path = Path.Combine(folder.FullName, "shared", "data", "tvqa-plus", "tvqa_plus_val.json");
            if (File.Exists(path))
            {
                return path;
            }
        }
        return null;
    }

    private static string Question(string boxes) =>
        $$"""
        [{"qid": 1, "vid_name": "v", "q": "Q", "ts": [0, 9], "a0": "A", "a1": "A", "a2": "A", "a3": "A", "a4": "A", "bbox": { {{boxes}} } }]
        """;

    private TvqaPlusImport Import(string json, TvqaPlusRequest request)
    {
        string path = Path.Combine(_folder, "questions.json");
        File.WriteAllText(path, json);
        return TvqaPlusImporter.Load(path, request);
    }
}
