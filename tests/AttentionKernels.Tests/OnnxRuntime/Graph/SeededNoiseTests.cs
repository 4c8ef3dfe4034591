using AttentionKernels.OnnxRuntime.Graph;

namespace AttentionKernels.Tests.OnnxRuntime.Graph;

/// <summary>The numbers that weights are made of.</summary>
public sealed class SeededNoiseTests
{
    [Fact]
    public void Numbers_Are_The_Same_On_Every_Machine()
    {
        // Worked out apart from this code, with integers of unlimited size.
        SeededNoise noise = new(1, "q0");
        Assert.Equal(0x04FB3F96DCFFDE60UL, noise.Bits(0));
        Assert.Equal(0xBD4527DD8ECA367AUL, noise.Bits(1));
        Assert.Equal(0x7B18199FBC11D7ADUL, noise.Bits(12345678901));
        Assert.Equal(-14 / 37837.2268f, noise.Normal(0), 1e-9f);
    }

    [Fact]
    public void Mean_Variance_And_Range_Are_As_Promised()
    {
        SeededNoise noise = new(7, "any");
        const int count = 200_000;
        double sum = 0, squares = 0, uniforms = 0;
        for (int i = 0; i < count; i++)
        {
            double x = noise.Normal(i);
            float u = noise.Uniform(i);
            Assert.True(Math.Abs(x) < 3.5 && u >= 0 && u < 1);
            (sum, squares, uniforms) = (sum + x, squares + (x * x), uniforms + u);
        }

        // Five standard errors of each mean.
        double error = 5 / Math.Sqrt(count);
        Assert.InRange(sum / count, -error, error);
        Assert.InRange(squares / count, 1 - (1.5 * error), 1 + (1.5 * error));
        Assert.InRange(uniforms / count, 0.5 - (0.3 * error), 0.5 + (0.3 * error));
    }

    [Fact]
    public void Seeds_And_Names_Give_Different_Streams()
    {
        ulong[] first = [.. from seed in Enumerable.Range(0, 20) from name in new[] { "q0", "q1", "k0", "" } select new SeededNoise((ulong)seed, name).Bits(0)];
        Assert.Equal(first.Length, first.Distinct().Count());
    }
}
