using AttentionKernels.Bench.Compare;
using AttentionKernels.Bench.Report;

namespace AttentionKernels.Tests.Bench;

/// <summary>What is kept of measurements, on numbers worked out by hand.</summary>
public sealed class StatisticsTests
{
    [Fact]
    public void Quantiles_Lie_Between_Neighbours()
    {
        double[] values = [4, 1, 3, 2];
        Assert.Equal(2.5, Statistics.Median(values));
        Assert.Equal(1.75, Statistics.Quantile(values, 0.25));
        Assert.Equal(4, Statistics.Quantile(values, 1));
        Assert.Equal(7, Statistics.Median([7]));
        Assert.Throws<ArgumentException>(() => Statistics.Median([]));
    }

    [Fact]
    public void A_Ratio_And_Its_Inverse_Cancel()
    {
        Assert.Equal(1, Statistics.GeometricMean([4, 0.25]), 12);
        Assert.True(double.IsNaN(Statistics.GeometricMean([])));
    }

    /// <summary>A machine that is three times slower in one round slows both sides down: the ratio stays.</summary>
    [Fact]
    public void A_Slow_Round_Does_Not_Change_The_Ratio()
    {
        Spread spread = Spread.OfRatio([1, 3, 1.1], [2, 6, 2.2]);
        Assert.Equal(new Spread(0.5, 0.5, 0.5), spread);
    }

    [Fact]
    public void The_Summary_Line_Has_Six_Ratios_With_A_Point_And_Three_Decimals()
    {
        CaseResult[] cases =
        [
            Case("a", Bar.All.ToDictionary(bar => bar.Key, _ => new Spread(0.5, 0.4, 0.6))),
            Case("b", new() { ["plain"] = new Spread(2, 2, 2), ["decode"] = new Spread(1.125, 1, 1.25) }),
        ];
        CompareReport report = new(true, false, MachineDescription.Read(), [.. Bar.All.Select(bar => BarResult.Of(bar, cases))], cases, [], [], []);
        StringWriter text = new();
        CompareText.Write(text, report);
        Assert.Equal(
            "summary: plain=1.000 steered_vs_plain_ort=0.500 steered_vs_bias=0.500 scores_vs_qk=0.500 overhead=0.500 decode=0.750",
            text.ToString().TrimEnd().Split('\n')[^1]);
        Assert.False(report.Bars[0].Met);
        Assert.True(report.Bars[1].Met);

        static CaseResult Case(string name, Dictionary<string, Spread> ratios) => new(name, 1, 3, new Dictionary<Side, SideResult>(), ratios, new Dictionary<string, double>());
    }

    /// <summary>Sides run in every round, and as often as a sample needs.</summary>
    [Fact]
    public void Every_Side_Runs_In_Every_Round()
    {
        int[] runs = new int[2];
        double[][] times = Interleaved.Measure(
            [() => runs[0]++, () => runs[1]++], [0, 5000], new RoundBudget(4, 4, TimeSpan.Zero, TimeSpan.FromMilliseconds(1)), CancellationToken.None);
        Assert.All(times, side => Assert.Equal(4, side.Length));
        Assert.True(runs[0] > 5, $"{runs[0]} runs of a side that takes no time");
        // Its first run was long, so it runs once for each round.
        Assert.Equal(4, runs[1]);
    }
}
