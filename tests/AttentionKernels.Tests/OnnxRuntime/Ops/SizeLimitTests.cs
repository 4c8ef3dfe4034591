using AttentionKernels.OnnxRuntime;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>Sizes that a tensor without elements may claim are refused before anything of that size is allocated or counted.</summary>
public sealed class SizeLimitTests
{
    private const long TooLong = (1L << 30) + 1;
    private const long Half = 1L << 29;
    private const long TooWide = (1L << 16) + 1;

    [Theory]
    [InlineData(TooLong, 1, 0, 8, 8, "input 'query' has shape [0,1073741825,8], expected at most 1073741824 along axis 1")]
    [InlineData(1, TooLong, 0, 8, 8, "input 'key' has shape [0,1073741825,8], expected at most 1073741824 along axis 1")]
    [InlineData(1, Half, Half + 1, 8, 8, "input 'key' has 536870912 rows behind 536870913 past ones, expected at most 1073741824 keys")]
    [InlineData(1, 1, 0, TooWide, 8, "input 'query' has shape [0,1,65537], expected a multiple of num_heads = 1 along axis 2, for heads of 1..65536")]
    [InlineData(1, 1, 0, 8, TooWide, "input 'value' has shape [0,1,65537], expected a multiple of kv_num_heads = 1 along axis 2, for heads of 1..65536")]
    public void Too_Large_Sizes_Are_Errors(long rows, long newKeys, long past, long size, long valueSize, string message)
    {
        using OpNode node = new() { Op = "SteeredAttention", Outputs = ["output"], Attributes = { ["num_heads"] = 1L } };
        node.Add<float>([], 0, rows, size).Add<float>([], 0, newKeys, size).Add<float>([], 0, newKeys, valueSize);
        if (past > 0)
        {
            node.Add<float>([], 0, 1, past, size).Add<float>([], 0, 1, past, valueSize);
        }
        OrtException e = Assert.Throws<OrtException>(() => node.Run());
        Assert.Contains(message, e.Message, StringComparison.Ordinal);
    }
}
