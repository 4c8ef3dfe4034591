using System.Text;

namespace AttentionKernels.Scenes;

/// <summary>
/// A tokenizer that needs no files, for demos with random weights: words (letters, digits, inner apostrophes), single punctuation characters and
/// line ends; other white space separates. The id is a hash of the token's text, so it is the same in every run, and two words may share one.
/// </summary>
public sealed class WordTokenizer : ITextTokenizer
{
    private readonly uint _vocabularySize;

    /// <summary>Creates the tokenizer for a model with <paramref name="vocabularySize"/> ids.</summary>
    public WordTokenizer(int vocabularySize)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabularySize, 1);
        _vocabularySize = (uint)vocabularySize;
    }

    /// <inheritdoc/>
    public IReadOnlyList<TextToken> Encode(string text) => Encode(text, controlTokens: false);

    /// <summary>As <see cref="Encode(string)"/>, with anything of the form <c>&lt;|name|&gt;</c> as one token.</summary>
    public IReadOnlyList<TextToken> EncodeTemplate(string text) => Encode(text, controlTokens: true);

    private List<TextToken> Encode(string text, bool controlTokens)
    {
        ArgumentNullException.ThrowIfNull(text);
        List<TextToken> tokens = [];
        int at = 0;
        while (at < text.Length)
        {
            int length = controlTokens ? ControlTokenLength(text.AsSpan(at)) : 0;
            if (length == 0)
            {
                length = WordLength(text.AsSpan(at));
            }
            if (length == 0)
            {
                // Punctuation, or half of a surrogate pair, which counts as one character.
                length = Rune.DecodeFromUtf16(text.AsSpan(at), out Rune rune, out int characters) == System.Buffers.OperationStatus.Done ? characters : 1;
                if (Rune.IsWhiteSpace(rune) && text[at] != '\n')
                {
                    at += length;
                    continue;
                }
            }
            tokens.Add(new TextToken(Id(text.AsSpan(at, length)), at, length));
            at += length;
        }
        return tokens;
    }

    private static int ControlTokenLength(ReadOnlySpan<char> text)
    {
        int end = text.StartsWith("<|") ? text.IndexOf("|>") : -1;
        return end <= 2 || text[..end].ContainsAny(' ', '\n') ? 0 : end + 2;
    }

    private static int WordLength(ReadOnlySpan<char> text)
    {
        int length = 0;
        while (length < text.Length)
        {
            int next = LetterLength(text[length..]);
            // An apostrophe belongs to the word when letters follow: don't, Ana's.
            if (next == 0 && length > 0 && text[length] is '\'' or '\u2019')
            {
                next = LetterLength(text[(length + 1)..]);
                next = next == 0 ? 0 : next + 1;
            }
            if (next == 0)
            {
                break;
            }
            length += next;
        }
        return length;
    }

    private static int LetterLength(ReadOnlySpan<char> text)
    {
        bool valid = Rune.DecodeFromUtf16(text, out Rune rune, out int characters) == System.Buffers.OperationStatus.Done;
        bool mark = Rune.GetUnicodeCategory(rune) is System.Globalization.UnicodeCategory.NonSpacingMark or System.Globalization.UnicodeCategory.SpacingCombiningMark;
        return valid && (Rune.IsLetterOrDigit(rune) || mark) ? characters : 0;
    }

    // FNV-1a over UTF-16 code units: string.GetHashCode differs from run to run.
    private int Id(ReadOnlySpan<char> word)
    {
        uint hash = 2166136261;
        foreach (char c in word)
        {
            hash = (hash ^ c) * 16777619;
        }
        return (int)(hash % _vocabularySize);
    }
}
