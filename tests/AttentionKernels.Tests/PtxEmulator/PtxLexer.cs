namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Splits PTX text into tokens; comments disappear.</summary>
internal static class PtxLexer
{
    public static List<PtxToken> Split(string text, string[] lines)
    {
        List<PtxToken> tokens = [];
        int line = 1;
        int at = 0;
        while (at < text.Length)
        {
            char c = text[at];
            if (c == '\n')
            {
                line++;
                at++;
            }
            else if (char.IsWhiteSpace(c))
            {
                at++;
            }
            else if (c == '/' && Peek(text, at + 1) == '/')
            {
                int end = text.IndexOf('\n', at);
                at = end < 0 ? text.Length : end;
            }
            else if (c == '/' && Peek(text, at + 1) == '*')
            {
                int end = text.IndexOf("*/", at + 2, StringComparison.Ordinal);
                if (end < 0)
                {
                    throw new PtxException("comment without an end", line, lines[line - 1].Trim());
                }
                line += text.AsSpan(at, end - at).Count('\n');
                at = end + 2;
            }
            else
            {
                int end = at + 1;
                PtxTokenKind kind = PtxTokenKind.Mark;
                int first = at;
                if (IsWordStart(c))
                {
                    kind = PtxTokenKind.Word;
                    end = SkipWord(text, end);
                }
                else if (c == '.' && IsWordPart(Peek(text, at + 1)))
                {
                    kind = PtxTokenKind.Dot;
                    first = at + 1;
                    end = SkipWord(text, end);
                    while (Peek(text, end) == ':' && Peek(text, end + 1) == ':')
                    {
                        end = SkipWord(text, end + 2);
                    }
                }
                else if (char.IsAsciiDigit(c))
                {
                    kind = PtxTokenKind.Number;
                    end = SkipNumber(text, end);
                }
                else if (c == '"')
                {
                    kind = PtxTokenKind.String;
                    end = text.IndexOf('"', at + 1) + 1;
                    if (end == 0)
                    {
                        throw new PtxException("string without an end", line, lines[line - 1].Trim());
                    }
                }
                tokens.Add(new PtxToken(kind, text[first..end], line));
                if (kind == PtxTokenKind.String)
                {
                    line += text.AsSpan(first, end - first).Count('\n');
                }
                at = end;
            }
        }
        tokens.Add(new PtxToken(PtxTokenKind.End, "", line));
        return tokens;
    }

    private static char Peek(string text, int at) => at < text.Length ? text[at] : '\0';

    private static bool IsWordStart(char c) => char.IsAsciiLetter(c) || c is '_' or '$' or '%';

    private static bool IsWordPart(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '$';

    private static int SkipWord(string text, int at)
    {
        while (IsWordPart(Peek(text, at)))
        {
            at++;
        }
        return at;
    }

    // 12, 0x1F, 0f3F800000, 1.5, 1e-3, 7.8: a dot belongs to the number when a digit follows.
    private static int SkipNumber(string text, int at)
    {
        int start = at - 1;
        bool prefixed = text[start] == '0' && char.IsAsciiLetter(Peek(text, at));
        while (true)
        {
            char c = Peek(text, at);
            bool exponentSign = !prefixed && c is '+' or '-' && Peek(text, at - 1) is 'e' or 'E';
            if (char.IsAsciiLetterOrDigit(c) || (!prefixed && (exponentSign || (c == '.' && char.IsAsciiDigit(Peek(text, at + 1))))))
            {
                at++;
            }
            else
            {
                return at;
            }
        }
    }
}
