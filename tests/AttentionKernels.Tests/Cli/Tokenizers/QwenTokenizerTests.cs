using System.Text;
using System.Text.Json;
using AttentionKernels.Cli.Tokenizers;
using AttentionKernels.Scenes;
using AttentionKernels.Tests.Scenes;

namespace AttentionKernels.Tests.Cli.Tokenizers;

public sealed class QwenTokenizerTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("qwen").FullName;
    private readonly QwenTokenizer _tokenizer;

    public QwenTokenizerTests()
    {
        // All bytes, and merges within and across characters: "he", "ll", "he"+"ll", both bytes of é, a space with it, and the first two of four bytes of 😀.
        string[][] merges = [["h", "e"], ["l", "l"], ["he", "ll"], [Bytes("é")[..1], Bytes("é")[1..]], [Bytes(" "), Bytes("é")], [Bytes("😀")[..1], Bytes("😀")[1..2]]];
        Write(merges, Enumerable.Range(0, 256).Select(value => Name((byte)value)));
        _tokenizer = QwenTokenizer.Load(Vocabulary, Merges);
    }

    private string Vocabulary => Path.Combine(_folder, "vocab.json");

    private string Merges => Path.Combine(_folder, "merges.txt");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("hello", "0+4 4+1")]
    [InlineData("an é!", "0+1 1+1 2+2 4+1")]
    [InlineData("日x", "0+1 0+1 0+1 1+1")]               // three bytes of one character report the character
    [InlineData("😀b", "0+2 0+2 0+2 2+1")]               // a surrogate pair: two units, three tokens
    [InlineData("a👩‍🚀", "0+1 1+2 1+2 1+2 3+1 3+1 3+1 4+2 4+2 4+2")]
    [InlineData("e\u0301", "0+1 1+1 1+1")]               // not normalised: offsets fit the text as it stands
    public void Offsets_Are_Characters_Of_The_Original_Text(string text, string spans) =>
        Assert.Equal(spans, string.Join(' ', _tokenizer.Encode(text).Select(token => $"{token.Start}+{token.Length}")));

    [Fact]
    public void Every_Text_Is_Covered_In_Order() => RandomScene.ForAll(seed =>
    {
        Scene scene = RandomScene.Create(seed);
        string text = string.Join('\n', scene.Lines.Select(line => $"{line.Speaker}: {line.Text}")) + scene.Question;
        int covered = 0;
        foreach (TextToken token in _tokenizer.Encode(text))
        {
            Assert.InRange(token.Start, 0, covered);
            Assert.True(token.Length > 0);
            covered = Math.Max(covered, token.Start + token.Length);
        }
        Assert.Equal(text.Length, covered);
    });

    [Fact]
    public void Control_Tokens_Count_In_Templates_Only()
    {
        IReadOnlyList<TextToken> template = _tokenizer.EncodeTemplate("<|im_start|>hell<|no_such|><|im_end|>\n");
        Assert.Equal(new TextToken(151644, 0, 12), template[0]);
        Assert.Equal(new TextToken(151645, 27, 10), template[^2]);
        Assert.Equal((37, 1), (template[^1].Start, template[^1].Length));
        Assert.DoesNotContain(_tokenizer.Encode("<|im_start|>"), token => token.Id >= 151643);
    }

    [Fact]
    public void A_Scene_Is_Laid_Out_With_It()
    {
        Scene scene = SceneTests.ShippedScene();
        SceneTokens tokens = SceneTokens.Create(scene, VisualGeometry.Qwen25Vl(scene.Video), _tokenizer);
        Assert.Equal(1196, tokens.TokenIds.Count(id => id == 151656));
        // Each byte of "Name: text\n" belongs to the line, up to what merges save.
        foreach (UtteranceSpan utterance in tokens.Utterances)
        {
            SceneLine line = scene.Lines[utterance.Line];
            string text = $"{line.Speaker}: {line.Text}\n";
            Assert.Equal(_tokenizer.Encode(text).Count, utterance.EndToken - utterance.FirstToken);
        }
    }

    [Fact]
    public void Half_A_Surrogate_Pair_Is_No_Crash()
    {
        IReadOnlyList<TextToken> tokens = _tokenizer.Encode("a\ud83db");
        Assert.Equal((2, 1), (tokens[^1].Start, tokens[^1].Length));
    }

    [Fact]
    public void Unusable_Files_Are_Named()
    {
        Assert.Contains("none.json", Assert.Throws<SceneException>(() => QwenTokenizer.Load(Path.Combine(_folder, "none.json"), Merges)).Message);
        Assert.Contains("none.txt", Assert.Throws<SceneException>(() => QwenTokenizer.Load(Vocabulary, Path.Combine(_folder, "none.txt"))).Message);
        File.WriteAllText(Vocabulary, "{\"a\": \"b\"}");
        Assert.Throws<SceneException>(() => QwenTokenizer.Load(Vocabulary, Merges));
        File.WriteAllText(Vocabulary, "[");
        Assert.Throws<SceneException>(() => QwenTokenizer.Load(Vocabulary, Merges));
        Write([], Enumerable.Range(0, 255).Select(value => Name((byte)value)));
        Assert.Contains("byte 0xff has no token", Assert.Throws<SceneException>(() => QwenTokenizer.Load(Vocabulary, Merges)).Message);
        Write([["no", "such"]], Enumerable.Range(0, 256).Select(value => Name((byte)value)));
        Dictionary<string, int> bytesOnly = Enumerable.Range(0, 256).ToDictionary(value => Name((byte)value).ToString(), value => value);
        File.WriteAllText(Vocabulary, JsonSerializer.Serialize(bytesOnly));
        Assert.Throws<SceneException>(() => QwenTokenizer.Load(Vocabulary, Merges));
    }

    private void Write(string[][] merges, IEnumerable<char> bytes)
    {
        string[] tokens = [.. bytes.Select(name => name.ToString()), .. merges.Select(pair => pair[0] + pair[1])];
        File.WriteAllText(Vocabulary, JsonSerializer.Serialize(tokens.Select((token, id) => (token, id)).ToDictionary(pair => pair.token, pair => pair.id)));
        File.WriteAllLines(Merges, merges.Select(pair => $"{pair[0]} {pair[1]}").Prepend("#version: 0.2"));
    }

    private static string Bytes(string text) => string.Concat(Encoding.UTF8.GetBytes(text).Select(Name));

    /// <summary>The character by which byte-level vocabularies write a byte.</summary>
    private static char Name(byte value)
    {
        bool Printable(int b) => b is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174;
        return Printable(value) ? (char)value : (char)(256 + Enumerable.Range(0, value).Count(b => !Printable(b)));
    }
}
