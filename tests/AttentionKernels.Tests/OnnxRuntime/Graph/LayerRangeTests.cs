using AttentionKernels.OnnxRuntime.Graph;
using FsCheck;
using FsCheck.Fluent;

namespace AttentionKernels.Tests.OnnxRuntime.Graph;

/// <summary>Sets of layers as text.</summary>
public sealed class LayerRangeTests
{
    [Theory]
    [InlineData("10-19", "10-19")]
    [InlineData("3,5,10-19", "3,5,10-19")]
    [InlineData(" 19 , 10 - 12,3", "3,10-12,19")]
    [InlineData("1,2,3", "1-3")]
    [InlineData("4-9,6-7,9-12", "4-12")]
    [InlineData("7-7", "7")]
    [InlineData("2147483646-2147483647,2147483647", "2147483646-2147483647")]
    [InlineData("all", "all")]
    public void A_Set_Prints_In_Its_Shortest_Form(string text, string shortest) => Assert.Equal(shortest, LayerRange.Parse(text).ToString());

    [Theory]
    [InlineData("")]
    [InlineData("x")]
    [InlineData("-1")]
    [InlineData("1-")]
    [InlineData("1-2-3")]
    [InlineData("1,,2")]
    [InlineData("+1")]
    [InlineData("1.5")]
    [InlineData("9-8")]
    [InlineData("99999999999")]
    [InlineData("all,1")]
    public void Wrong_Text_Is_Named(string text)
    {
        FormatException e = Assert.Throws<FormatException>(() => LayerRange.Parse(text));
        Assert.Contains($"'{text}'", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_Missing_Layer_Is_Named_With_The_Number_Of_Layers()
    {
        FormatException e = Assert.Throws<FormatException>(() => LayerRange.Parse("3,10-19", 14));
        Assert.Equal("Layers '3,10-19': there is no layer 19, the model has 14 (0-13).", e.Message);
        Assert.Equal(LayerRange.Parse("3,10-13"), LayerRange.Parse("3,10-13", 14));
    }

    [Fact]
    public void Default_Is_All_Layers()
    {
        LayerRange layers = default;
        Assert.True(layers.IsAll && layers.Contains(0) && layers.Contains(int.MaxValue));
        Assert.Null(layers.FindFault(0));
        Assert.True(layers == LayerRange.All && layers != LayerRange.Parse("0"));
    }

    [Fact]
    public void Printing_And_Parsing_Keeps_The_Set()
    {
        Gen<(int First, int Length)[]> spans = Gen.NonEmptyListOf(Gen.Choose(0, 60).SelectMany(first => Gen.Choose(0, 8).Select(length => (first, length))))
            .Select(list => list.ToArray());
        Prop.ForAll(spans.ToArbitrary(), drawn =>
        {
            HashSet<int> expected = [.. drawn.SelectMany(span => Enumerable.Range(span.First, span.Length + 1))];
            LayerRange parsed = LayerRange.Parse(string.Join(" , ", drawn.Select(s => s.Length == 0 ? $"{s.First}" : $"{s.First} -{s.First + s.Length}")));
            LayerRange again = LayerRange.Parse(parsed.ToString());
            return again == parsed && again.GetHashCode() == parsed.GetHashCode()
                && Enumerable.Range(0, 80).All(layer => parsed.Contains(layer) == expected.Contains(layer))
                && parsed.FindFault(expected.Max()) is not null && parsed.FindFault(expected.Max() + 1) is null;
        }).QuickCheckThrowOnFailure();
    }
}
