using AttentionKernels.Cli.Run;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.Scenes;

namespace AttentionKernels.Tests.Cli;

public sealed class TokenEmbeddingsTests
{
    [Fact]
    public void One_Step_Is_The_Next_Number_Of_The_Type_And_Zero_Stays()
    {
        Assert.Equal([0, MathF.BitIncrement(1), MathF.BitIncrement(-2)], TokenEmbeddings.MovedByOneStep([0, 1, -2], half: false));
        Assert.Equal([0, (float)Half.BitIncrement((Half)1), 0], TokenEmbeddings.MovedByOneStep([0, 1, 1e-9f], half: true));
    }

    [Fact]
    public void A_Word_Has_One_Row_And_Every_Cell_Its_Own()
    {
        SceneTokens tokens = RunFiles.Tokens;
        DecoderConfig config = RunFiles.Config with { PlantHeads = false };
        float[][] rows = [.. TokenEmbeddings.Synthetic(tokens, config).Chunk(config.Hidden)];
        Assert.Equal(tokens.Length, rows.Length);
        foreach (IGrouping<(int, bool), int> same in Enumerable.Range(0, tokens.Length).GroupBy(t => (tokens.TokenIds[t], tokens.Modality[t] == (byte)Modality.Visual)))
        {
            Assert.Equal(same.Key.Item2 ? same.Count() : 1, same.Select(t => rows[t]).DistinctBy(row => string.Join(',', row)).Count());
        }
    }
}
