using AttentionKernels.Cli.Run;

namespace AttentionKernels.Tests.Cli;

public sealed class PaperLayersTests
{
    [Theory]
    [InlineData(28, "10-19")]
    [InlineData(14, "5-9")]
    [InlineData(36, "13-25")]
    [InlineData(3, "1")]
    [InlineData(1, "0")]
    public void The_Papers_Share_Of_The_Depth(int layers, string expected) => Assert.Equal(expected, PaperLayers.Of(layers).ToString());

    [Fact]
    public void Every_Depth_Has_Layers_And_All_Of_Them_Exist()
    {
        for (int layers = 1; layers < 200; layers++)
        {
            Assert.Null(PaperLayers.Of(layers).FindFault(layers));
        }
    }
}
