using System.Runtime.InteropServices;
using AttentionKernels.Cli.Conformance;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Tests.Cli.Conformance;

/// <summary>The rule of ONNX's backend tests: |actual - expected| at most atol + rtol * |expected|.</summary>
public sealed class TensorComparisonTests
{
    [Theory]
    [InlineData(1.0009f, 1f, true)]
    [InlineData(1.0011f, 1f, false)]
    [InlineData(0.9e-7f, 0f, true)]
    [InlineData(1.1e-7f, 0f, false)]
    [InlineData(-1f, 1f, false)]
    [InlineData(float.NaN, float.NaN, true)]
    [InlineData(float.NaN, 0f, false)]
    [InlineData(0f, float.NaN, false)]
    [InlineData(float.PositiveInfinity, float.PositiveInfinity, true)]
    [InlineData(float.PositiveInfinity, float.NegativeInfinity, false)]
    [InlineData(3e38f, float.PositiveInfinity, false)]
    [InlineData(float.NegativeInfinity, -3.4e38f, false)]
    [InlineData(-0f, 0f, true)]
    public void Each_Element_Must_Be_Within_Both_Tolerances(float actual, float expected, bool passes)
    {
        TensorComparison comparison = TensorComparison.Of("x", Of(7, actual), Of(7, expected), 1e-3, 1e-7);
        Assert.Equal(passes, comparison.Passed);
        Assert.Equal(passes, comparison.Ratio <= 1);
        Assert.True(passes || comparison.Text.StartsWith("x[0,1] is ", StringComparison.Ordinal), comparison.Text);
    }

    [Fact]
    public void The_Worst_Element_Is_Named()
    {
        TensorComparison comparison = TensorComparison.Of("x", Of(1.0004f, 2.0010f, 3), Of(1, 2, 3), 1e-3, 0);
        Assert.True(comparison.Passed);
        Assert.StartsWith("error 1.0e-3 at x[0,1], 0.5", comparison.Text, StringComparison.Ordinal);
        Assert.Equal("exact", TensorComparison.Of("x", Of(1, 2), Of(1, 2), 0, 0).Text);
        Assert.Equal("exact", TensorComparison.Of("x", Of(), Of(), 0, 0).Text);
    }

    private static TensorData Of(params float[] values) => new(OnnxElementType.Float, [1, values.Length], MemoryMarshal.AsBytes<float>(values).ToArray());
}
