using AttentionKernels.Scenes;

namespace AttentionKernels.Tests.Scenes;

public class VisualGeometryTests
{
    private static readonly VideoSize Clip = new(640, 360);

    [Fact]
    public void Qwen_Cuts_640x360_Into_299_Tokens_Per_Two_Frames()
    {
        VisualGeometry grid = VisualGeometry.Qwen25Vl(Clip);
        Assert.Equal((644, 364, 23, 13, 299), (grid.ResizedWidth, grid.ResizedHeight, grid.Columns, grid.Rows, grid.TokensPerSlot));
        Assert.Equal(4, grid.SlotCount(8));
        Assert.Equal(1196, grid.SlotCount(8) * grid.TokensPerSlot);
    }

    [Theory]
    [InlineData(280, 560, 10, 20)]     // multiples of 28 within the limits stay
    [InlineData(518, 700, 18, 25)]     // 18.5 cells: halves round to even
    [InlineData(1920, 1080, 36, 20)]   // too large: sqrt(2073600 / 602112) = 1.8558; 1034.6 -> 36 cells, 581.9 -> 20 cells
    [InlineData(100, 100, 12, 12)]     // too small: sqrt(100352 / 10000) = 3.168; 316.8 -> 11.3 cells, rounded up
    [InlineData(2, 400, 1, 160)]       // very narrow: 22.4 x 4480 grows to at least one cell of width
    public void Qwen_Resizes_Within_Its_Pixel_Limits(int width, int height, int columns, int rows)
    {
        VisualGeometry grid = VisualGeometry.Qwen25Vl(new VideoSize(width, height));
        Assert.Equal((columns, rows), (grid.Columns, grid.Rows));
    }

    [Fact]
    public void Qwen_Limits_Are_Parameters()
    {
        VisualGeometry small = VisualGeometry.Qwen25Vl(new VideoSize(56, 84), minPixels: 4 * 28 * 28);
        Assert.Equal((2, 3), (small.Columns, small.Rows));
        VisualGeometry capped = VisualGeometry.Qwen25Vl(Clip, maxPixels: 130 * 28 * 28);
        Assert.InRange(capped.TokensPerSlot, 90, 130);
        Assert.Throws<ArgumentOutOfRangeException>(() => VisualGeometry.Qwen25Vl(Clip, minPixels: 1000, maxPixels: 999));
    }

    [Fact]
    public void Qwen_Refuses_Extreme_Aspect_Ratios() =>
        Assert.Contains("16384x81", Assert.Throws<SceneException>(() => VisualGeometry.Qwen25Vl(new VideoSize(16384, 81))).Message);

    [Fact]
    public void Other_Models_Are_Other_Values()
    {
        VisualGeometry intern = VisualGeometry.InternVl3(Clip);
        Assert.Equal((256, 448, 448, 8), (intern.TokensPerSlot, intern.ResizedWidth, intern.ResizedHeight, intern.SlotCount(8)));
        VisualGeometry llava = VisualGeometry.LlavaNextVideo(Clip);
        Assert.Equal((144, 336, 336, 8), (llava.TokensPerSlot, llava.ResizedWidth, llava.ResizedHeight, llava.SlotCount(8)));
        // 640x360 becomes 597x336; the square starts at pixel 130 of it.
        Assert.Equal(130 * 640 / 597.0, llava.Left, 12);
        Assert.Equal(336 * 640 / 597.0, llava.Width, 12);
        Assert.Equal((0, 360), (llava.Top, llava.Height));
    }

    [Theory]
    [InlineData(0, 7, 0, 2)]
    [InlineData(2, 7, 4, 6)]
    [InlineData(3, 7, 6, 7)]   // the odd frame out is repeated by the encoder and counted once here
    public void A_Slot_Spans_Its_Frames(int slot, int frames, int first, int end) =>
        Assert.Equal((first, end), VisualGeometry.Qwen25Vl(Clip).FrameSpan(slot, frames));

    [Fact]
    public void Boxes_Outside_The_Crop_Cover_Nothing()
    {
        VisualGeometry llava = VisualGeometry.LlavaNextVideo(Clip);
        long[] cells = new long[144];
        llava.Mark(new SpeakerBox("A", 0, 0, 139, 360), BoxRule.AnyOverlap, 1, cells);
        Assert.All(cells, cell => Assert.Equal(0, cell));
        llava.Mark(new SpeakerBox("A", 0, 0, 141, 360), BoxRule.AnyOverlap, 1, cells);
        Assert.Equal(Enumerable.Range(0, 12).Select(row => row * 12), cells.Select((cell, i) => cell != 0 ? i : -1).Where(i => i >= 0));
    }
}
