using AttentionKernels.Scenes;

namespace AttentionKernels.Tests.Scenes;

public class WordTokenizerTests
{
    private static readonly WordTokenizer Tokenizer = new(1000);

    [Theory]
    [InlineData("Ana: don't go, 2 x!\n", "Ana|:|don't|go|,|2|x|!|\n")]
    [InlineData("'tis Ana's dogs'\t…", "'|tis|Ana's|dogs|'|…")]
    [InlineData("naïve 日本 👍a e\u0301té", "naïve|日本|👍|a|e\u0301té")]
    [InlineData("<|im_end|>", "<|||im|_|end|||>")]
    [InlineData("", "")]
    public void Text_Is_Cut_Into_Words_And_Signs(string text, string pieces) =>
        Assert.Equal(pieces, string.Join('|', Tokenizer.Encode(text).Select(token => text.Substring(token.Start, token.Length))));

    [Theory]
    [InlineData("<|im_start|>system\n", "<|im_start|>;system;\n")]
    [InlineData("<|no end <||> <|a b|>", "<;|;no;end;<;|;|;>;<;|;a;b;|;>")]
    public void In_A_Template_A_Control_Token_Is_One_Token(string text, string pieces) =>
        Assert.Equal(pieces, string.Join(';', Tokenizer.EncodeTemplate(text).Select(token => text.Substring(token.Start, token.Length))));

    // Not a theory's data: attributes are stored as UTF-8, which has no half characters.
    [Fact]
    public void Half_A_Surrogate_Pair_Is_A_Token() =>
        Assert.Equal([(0, 1), (2, 1)], Tokenizer.Encode("\ud83d x").Select(token => (token.Start, token.Length)));

    [Fact]
    public void An_Id_Depends_On_The_Word_Only_And_Fits_The_Vocabulary()
    {
        IReadOnlyList<TextToken> tokens = Tokenizer.Encode("yeah she said yeah");
        Assert.Equal(tokens[0].Id, tokens[3].Id);
        Assert.Equal(3, tokens.Select(token => token.Id).Distinct().Count());
        Assert.All(tokens, token => Assert.InRange(token.Id, 0, 999));
        // Fixed for ever: stored results refer to it. FNV-1a of "a" is 0xe40c292c = 3826002220.
        Assert.Equal(220, Tokenizer.Encode("a")[0].Id);
        Assert.Equal(0, new WordTokenizer(1).Encode("a")[0].Id);
        Assert.Throws<ArgumentOutOfRangeException>(() => new WordTokenizer(0));
    }
}
