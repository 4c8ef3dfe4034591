using AttentionKernels.Cli.Run;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Tests.Cli;

public sealed class LogitDifferenceTests
{
    [Fact]
    public void Largest_And_Root_Mean_Square()
    {
        using OrtTensor x = OrtTensor.Over([1f, 2, float.NegativeInfinity, 4], 4), y = OrtTensor.Over([1f, 5, float.NegativeInfinity, 0], 4);
        Assert.Equal(new LogitDifference(4, 2.5), LogitDifference.Between(x, y));
        using OrtTensor half = OrtTensor.Over([(Half)3, (Half)(-4)], 2);
        Assert.Equal(new LogitDifference(4, Math.Sqrt(12.5)), LogitDifference.Between(null, half));
    }

    [Fact]
    public void What_Cannot_Be_Compared_Is_Refused()
    {
        using OrtTensor x = OrtTensor.Over([1f, 2], 2), longer = OrtTensor.Over([1f, 2, 3], 3), nan = OrtTensor.Over([1f, float.NaN], 2), number = OrtTensor.Over([1, 2], 2);
        Assert.Throws<RunException>(() => LogitDifference.Between(x, longer));
        Assert.Throws<RunException>(() => LogitDifference.Between(x, number));
        Assert.Throws<RunException>(() => LogitDifference.Between(number, number));
        Assert.Contains("NaN at element 1", Assert.Throws<RunException>(() => LogitDifference.Between(x, nan)).Message, StringComparison.Ordinal);
    }
}
