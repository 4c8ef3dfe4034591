using AttentionKernels.Scenes;

namespace AttentionKernels.Tests.Scenes;

public class BoxRuleTests
{
    // A video of 112 x 84 pixels at 28 pixels per cell: 4 columns, 3 rows, no resizing.
    private static readonly VisualGeometry Grid = VisualGeometry.Qwen25Vl(new VideoSize(112, 84), minPixels: 1);

    [Theory]
    // One pixel right of column 0 to the middle of column 2; row 0 down to a quarter of row 1.
    [InlineData("any", 1, 0, 69, 35, "0 1 2 4 5 6")]
    [InlineData("centre", 1, 0, 69, 35, "0 1")]
    [InlineData("0.25", 1, 0, 69, 35, "0 1 2 5")]   // 4: 27/28 * 1/4; 6: 1/2 * 1/4
    [InlineData("1", 1, 0, 69, 35, "1")]
    // Exactly one cell: its borders belong to nobody else.
    [InlineData("any", 28, 28, 28, 28, "5")]
    [InlineData("centre", 28, 28, 28, 28, "5")]
    [InlineData("1", 28, 28, 28, 28, "5")]
    // The left and top edge through a centre count, the right and bottom edge do not.
    [InlineData("centre", 14, 14, 28, 28, "0")]
    // Half outside on the left and above: clipped.
    [InlineData("any", -100, -100, 110, 110, "0")]
    [InlineData("centre", -100, -100, 150, 120, "0 1")]
    // Outside on each side, and touching the border.
    [InlineData("any", -10, 0, 10, 84, "")]
    [InlineData("any", 112, 0, 10, 84, "")]
    [InlineData("any", 0, -50, 112, 50, "")]
    [InlineData("any", 0, 900, 112, 50, "")]
    // Everything.
    [InlineData("1", -5, -5, 500, 500, "0 1 2 3 4 5 6 7 8 9 10 11")]
    [InlineData("any", 60, 30, 0.001, 0.001, "6")]
    [InlineData("centre", 60, 30, 0.001, 0.001, "")]
    public void A_Box_Covers_The_Cells_Worked_Out_By_Hand(string rule, double left, double top, double width, double height, string cells)
    {
        Assert.True(BoxRule.TryParse(rule, out BoxRule parsed));
        Assert.Equal(cells, string.Join(' ', Covered(Grid, new SpeakerBox("A", left, top, width, height), parsed)));
    }

    [Fact]
    public void Boxes_Are_Scaled_From_Video_To_Resized_Frame()
    {
        // 640 -> 644: column c spans video pixels [c * 640 / 23, (c + 1) * 640 / 23); column 22 begins at 612.17.
        VisualGeometry grid = VisualGeometry.Qwen25Vl(new VideoSize(640, 360));
        Assert.Equal([21, 22], Covered(grid, new SpeakerBox("A", 612, 0, 20, 1), BoxRule.AnyOverlap));
        Assert.Equal([22], Covered(grid, new SpeakerBox("A", 612.2, 0, 20, 1), BoxRule.AnyOverlap));
    }

    [Fact]
    public void Rules_Nest_And_Stay_Inside_The_Grid() => RandomScene.ForAll(seed =>
    {
        Random random = new(seed);
        VideoSize video = new(random.Next(100, 2000), random.Next(100, 2000));
        SpeakerBox box = RandomScene.Box(random, video);
        double tau = 0.01 + (0.98 * random.NextDouble());
        foreach (VisualGeometry grid in new[] { VisualGeometry.Qwen25Vl(video), VisualGeometry.InternVl3(video), VisualGeometry.LlavaNextVideo(video) })
        {
            HashSet<int> any = [.. Covered(grid, box, BoxRule.AnyOverlap)];
            Assert.Superset(Covered(grid, box, BoxRule.CentreInside).ToHashSet(), any);
            HashSet<int> area = [.. Covered(grid, box, BoxRule.MinimumArea(tau))];
            Assert.Superset(area, any);
            Assert.Superset(Covered(grid, box, BoxRule.MinimumArea(tau + 0.01)).ToHashSet(), area);
            // The grid's own statement of what it covers, written out with rectangles.
            for (int cell = 0; cell < grid.TokensPerSlot; cell++)
            {
                double x = grid.Left + (cell % grid.Columns * grid.Width / grid.Columns);
                double y = grid.Top + (cell / grid.Columns * grid.Height / grid.Rows);
                double overlapX = Math.Min(x + (grid.Width / grid.Columns), box.Left + box.Width) - Math.Max(x, box.Left);
                double overlapY = Math.Min(y + (grid.Height / grid.Rows), box.Top + box.Height) - Math.Max(y, box.Top);
                double smaller = Math.Min(overlapX, overlapY);
                if (any.Contains(cell) ? smaller < -1e-9 : smaller > 1e-9)
                {
                    Assert.Fail($"cell {cell} of {grid}, {box}: overlap {smaller}");
                }
            }
        }
    });

    [Theory]
    [InlineData("any", "any")]
    [InlineData("center", "centre")]
    [InlineData("0.50", "0.5")]
    public void A_Rule_Is_Written_As_It_Is_Read(string text, string written)
    {
        Assert.True(BoxRule.TryParse(text, out BoxRule rule));
        Assert.Equal(written, rule.ToString());
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("1.1")]
    [InlineData("NaN")]
    [InlineData("half")]
    public void A_Wrong_Rule_Is_Refused(string? text) => Assert.False(BoxRule.TryParse(text, out _));

    [Theory]
    [InlineData(0)]
    [InlineData(1.5)]
    [InlineData(double.NaN)]
    public void A_Wrong_Fraction_Is_Refused(double tau) => Assert.Throws<ArgumentOutOfRangeException>(() => BoxRule.MinimumArea(tau));

    private static int[] Covered(VisualGeometry grid, SpeakerBox box, BoxRule rule)
    {
        long[] cells = new long[grid.TokensPerSlot];
        grid.Mark(box, rule, 1, cells);
        return [.. Enumerable.Range(0, cells.Length).Where(i => cells[i] != 0)];
    }
}
