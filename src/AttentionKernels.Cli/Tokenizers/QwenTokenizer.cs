using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using AttentionKernels.Scenes;
using Microsoft.ML.Tokenizers;

namespace AttentionKernels.Cli.Tokenizers;

/// <summary>Qwen2.5's byte-level BPE tokenizer, read from a model folder's <c>vocab.json</c> and <c>merges.txt</c>.</summary>
/// <remarks>
/// The package does the merging. It reports offsets as if every character were one UTF-16 unit (an emoji spans 1, not 2), so offsets are computed
/// here: a byte-level token's text has one character per byte of UTF-8, and counting bytes finds the characters.
/// The model's own pipeline also normalises text to NFC; here it is taken as it stands, because offsets must fit the original.
/// </remarks>
internal sealed partial class QwenTokenizer : ITextTokenizer
{
    /// <summary>Control tokens of Qwen2.5-VL, which are not in vocab.json.</summary>
    public static IReadOnlyDictionary<string, int> ControlTokens { get; } = new Dictionary<string, int>(StringComparer.Ordinal)
    {
        ["<|endoftext|>"] = 151643,
        ["<|im_start|>"] = 151644,
        ["<|im_end|>"] = 151645,
        ["<|vision_start|>"] = 151652,
        ["<|vision_end|>"] = 151653,
        ["<|vision_pad|>"] = 151654,
        ["<|image_pad|>"] = 151655,
        ["<|video_pad|>"] = 151656,
    };

    private readonly BpeTokenizer _bytePairs;

    private QwenTokenizer(BpeTokenizer bytePairs) => _bytePairs = bytePairs;

    /// <summary>Reads the two files.</summary>
    /// <exception cref="SceneException">A file cannot be read, is malformed, or the vocabulary lacks one of the 256 byte tokens.</exception>
    public static QwenTokenizer Load(string vocabularyPath, string mergesPath)
    {
        try
        {
            Dictionary<string, int> vocabulary = ReadVocabulary(vocabularyPath);
            // The first line is a version comment.
            string[] merges = [.. File.ReadLines(mergesPath).Where(line => line.Length > 0 && !line.StartsWith("#version", StringComparison.Ordinal))];
            BpeOptions options = new(vocabulary)
            {
                ByteLevel = true,
                Merges = merges,
                PreTokenizer = new RegexPreTokenizer(Pieces(), null),
            };
            return new QwenTokenizer(BpeTokenizer.Create(options));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or InvalidOperationException or ArgumentException or FormatException)
        {
            throw new SceneException($"the tokenizer files {vocabularyPath} and {mergesPath} cannot be used: {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<TextToken> Encode(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        List<TextToken> tokens = [];
        AddText(tokens, text, 0, text.Length);
        return tokens;
    }

    /// <inheritdoc/>
    public IReadOnlyList<TextToken> EncodeTemplate(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        List<TextToken> tokens = [];
        int at = 0;
        foreach (Match match in ControlToken().Matches(text))
        {
            if (ControlTokens.TryGetValue(match.Value, out int id))
            {
                AddText(tokens, text, at, match.Index);
                tokens.Add(new TextToken(id, match.Index, match.Length));
                at = match.Index + match.Length;
            }
        }
        AddText(tokens, text, at, text.Length);
        return tokens;
    }

    /// <summary>Encodes characters [start, end) of the text, with offsets in the whole text.</summary>
    private void AddText(List<TextToken> tokens, string text, int start, int end)
    {
        if (start == end)
        {
            return;
        }
        string part = text[start..end];
        int[] characterOfByte = CharactersOfBytes(part);
        int at = 0;
        foreach (EncodedToken token in _bytePairs.EncodeToTokens(part, out _))
        {
            int after = at + token.Value.Length;
            if (after >= characterOfByte.Length || token.Value.Length == 0)
            {
                break;
            }
            // Up to the end of the last character that the token touches, even if it has only the first bytes of it.
            int lastCharacter = characterOfByte[after - 1];
            int next = after;
            while (characterOfByte[next] == lastCharacter)
            {
                next++;
            }
            int first = characterOfByte[at];
            tokens.Add(new TextToken(token.Id, start + first, characterOfByte[next] - first));
            at = after;
        }
        if (at != characterOfByte.Length - 1)
        {
            throw new InvalidOperationException($"the tokenizer gave {at} bytes for the {characterOfByte.Length - 1} of '{part}'");
        }
    }

    /// <summary>For each byte of the text's UTF-8 the index of its character, and at the end the length of the text.</summary>
    private static int[] CharactersOfBytes(string text)
    {
        List<int> characters = new(text.Length + 1);
        int at = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            characters.AddRange(Enumerable.Repeat(at, rune.Utf8SequenceLength));
            at += rune.Utf16SequenceLength;
        }
        characters.Add(text.Length);
        return [.. characters];
    }

    private static Dictionary<string, int> ReadVocabulary(string path)
    {
        using FileStream stream = File.OpenRead(path);
        using JsonDocument document = JsonDocument.Parse(stream);
        Dictionary<string, int> vocabulary = new(StringComparer.Ordinal);
        foreach (JsonProperty token in document.RootElement.EnumerateObject())
        {
            vocabulary[token.Name] = token.Value.GetInt32();
        }
        if (MissingByte(vocabulary) is int missing)
        {
            throw new FormatException($"byte 0x{missing:x2} has no token, so this is not a byte-level vocabulary");
        }
        return vocabulary;
    }

    /// <summary>Byte-level vocabularies write a printable Latin-1 byte as itself and the others, in order, as U+0100 and on.</summary>
    private static int? MissingByte(Dictionary<string, int> vocabulary)
    {
        int unprintable = 0;
        for (int value = 0; value < 256; value++)
        {
            bool printable = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE;
            char name = (char)(printable ? value : 256 + unprintable++);
            if (!vocabulary.ContainsKey(name.ToString()))
            {
                return value;
            }
        }
        return null;
    }

    // How Qwen2 cuts text before merging: contractions, words with one leading sign, single digits, punctuation, line ends, spaces.
    [GeneratedRegex(@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")]
    private static partial Regex Pieces();

    [GeneratedRegex(@"<\|\w+\|>")]
    private static partial Regex ControlToken();
}
