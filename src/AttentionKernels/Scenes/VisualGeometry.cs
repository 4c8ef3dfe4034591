namespace AttentionKernels.Scenes;

/// <summary>
/// How a vision encoder cuts video into tokens: each temporal slot is a grid of <see cref="Rows"/> x <see cref="Columns"/> cells, one token
/// per cell in row-major order, laid over a rectangle of the video frame. Every model is a value of this type.
/// </summary>
/// <remarks>
/// The rectangle is what is left of the frame after the model's crop; resizing needs no further numbers, because the grid covers the
/// rectangle evenly. A model whose encoder merges k frames into one token has FramesPerSlot = k; the last frame is repeated when k does
/// not divide the number of frames.
/// </remarks>
/// <param name="Columns">Cells per row, at least 1.</param>
/// <param name="Rows">Rows of cells, at least 1.</param>
/// <param name="FramesPerSlot">Sampled frames that share one grid, at least 1.</param>
/// <param name="CellPixels">Side of a cell in pixels of the resized frame.</param>
/// <param name="Left">Left edge of the rectangle that the grid covers, in pixels of the video.</param>
/// <param name="Top">Its top edge.</param>
/// <param name="Width">Its width, above 0.</param>
/// <param name="Height">Its height, above 0.</param>
public readonly record struct VisualGeometry(
    int Columns, int Rows, int FramesPerSlot, int CellPixels, double Left, double Top, double Width, double Height)
{
    /// <summary>Smallest area, in pixels, to which Qwen2.5-VL's video pipeline resizes a frame: 128 cells.</summary>
    public const int QwenMinPixels = 128 * 28 * 28;

    /// <summary>Largest area, in pixels, to which Qwen2.5-VL's video pipeline resizes a frame: 768 cells.</summary>
    public const int QwenMaxPixels = 768 * 28 * 28;

    private const int QwenCell = 28;
    private const int QwenMaxRatio = 200;
    private const int ClipSide = 336;

    /// <summary>Tokens of a slot.</summary>
    public int TokensPerSlot => Rows * Columns;

    /// <summary>Width of the frame that the encoder sees, in pixels.</summary>
    public int ResizedWidth => Columns * CellPixels;

    /// <summary>Height of the frame that the encoder sees, in pixels.</summary>
    public int ResizedHeight => Rows * CellPixels;

    /// <summary>
    /// Qwen2.5-VL: each side is rounded to a multiple of 28 pixels, and if the area then leaves the limits both sides shrink or grow together.
    /// One token per 28 x 28 pixels and two frames.
    /// </summary>
    /// <param name="video">Size of the video frame.</param>
    /// <param name="minPixels">Smallest area after resizing. Still images use 4 * 28 * 28.</param>
    /// <param name="maxPixels">Largest area after resizing. Still images use 16384 * 28 * 28; hosts that share a budget among many frames pass less.</param>
    /// <exception cref="SceneException">One side is more than 200 times the other, which the model refuses.</exception>
    public static VisualGeometry Qwen25Vl(VideoSize video, long minPixels = QwenMinPixels, long maxPixels = QwenMaxPixels)
    {
        CheckSize(video);
        ArgumentOutOfRangeException.ThrowIfLessThan(minPixels, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxPixels, Math.Max(minPixels, QwenCell * QwenCell));
        if (Math.Max(video.Width, video.Height) > QwenMaxRatio * (long)Math.Min(video.Width, video.Height))
        {
            throw new SceneException($"video: {video.Width}x{video.Height}, expected one side at most {QwenMaxRatio} times the other for Qwen2.5-VL");
        }
        // Rounds halves to even, as the model's own pipeline does: 70 pixels are 2.5 cells and become 2.
        int columns = Math.Max(1, (int)Math.Round(video.Width / (double)QwenCell));
        int rows = Math.Max(1, (int)Math.Round(video.Height / (double)QwenCell));
        long area = (long)columns * rows * QwenCell * QwenCell;
        double pixels = (double)video.Width * video.Height;
        if (area > maxPixels)
        {
            double shrink = Math.Sqrt(pixels / maxPixels);
            columns = Math.Max(1, (int)Math.Floor(video.Width / shrink / QwenCell));
            rows = Math.Max(1, (int)Math.Floor(video.Height / shrink / QwenCell));
        }
        else if (area < minPixels)
        {
            double grow = Math.Sqrt(minPixels / pixels);
            columns = (int)Math.Ceiling(video.Width * grow / QwenCell);
            rows = (int)Math.Ceiling(video.Height * grow / QwenCell);
        }
        return new VisualGeometry(columns, rows, 2, QwenCell, 0, 0, video.Width, video.Height);
    }

    /// <summary>
    /// LLaVA-NeXT-Video: the shorter side becomes 336 pixels, the middle square is cut out, and its 24 x 24 patches are pooled to 12 x 12 tokens
    /// per frame. People outside the middle square are not seen.
    /// </summary>
    public static VisualGeometry LlavaNextVideo(VideoSize video)
    {
        CheckSize(video);
        // The encoder's pipeline works in whole pixels of the resized frame: both the long side and the offset are cut off.
        int shorter = Math.Min(video.Width, video.Height);
        int width = (int)((long)ClipSide * video.Width / shorter);
        int height = (int)((long)ClipSide * video.Height / shorter);
        double perPixelX = (double)video.Width / width;
        double perPixelY = (double)video.Height / height;
        return new VisualGeometry(
            12, 12, 1, 28, ((width - ClipSide) / 2) * perPixelX, ((height - ClipSide) / 2) * perPixelY, ClipSide * perPixelX, ClipSide * perPixelY);
    }

    /// <summary>InternVL3: each frame is stretched to 448 x 448 pixels, 16 x 16 tokens.</summary>
    public static VisualGeometry InternVl3(VideoSize video)
    {
        CheckSize(video);
        return new VisualGeometry(16, 16, 1, 28, 0, 0, video.Width, video.Height);
    }

    /// <summary>Slots that hold <paramref name="frames"/> sampled frames.</summary>
    public int SlotCount(int frames) => (frames + FramesPerSlot - 1) / FramesPerSlot;

    /// <summary>Sampled frames [first, end) of a slot, the repeated last frame counted once.</summary>
    public (int First, int End) FrameSpan(int slot, int frames) =>
        (Math.Min(slot * FramesPerSlot, frames), Math.Min((slot + 1) * FramesPerSlot, frames));

    /// <summary>Adds <paramref name="bits"/> to every cell that the box covers by the rule. The box is clipped to the grid's rectangle first.</summary>
    /// <param name="box">Box in pixels of the video.</param>
    /// <param name="rule">When a cell counts as covered.</param>
    /// <param name="bits">Bits to set, usually one speaker's.</param>
    /// <param name="cells">[Rows, Columns] masks of one slot.</param>
    public void Mark(SpeakerBox box, BoxRule rule, long bits, Span<long> cells)
    {
        ArgumentNullException.ThrowIfNull(box);
        ArgumentOutOfRangeException.ThrowIfNotEqual(cells.Length, TokensPerSlot);
        // Edges in cells. Multiplying first keeps edges that fall on a cell border exact.
        double left = Math.Clamp((box.Left - Left) * Columns / Width, 0, Columns);
        double right = Math.Clamp((box.Left + box.Width - Left) * Columns / Width, 0, Columns);
        double top = Math.Clamp((box.Top - Top) * Rows / Height, 0, Rows);
        double bottom = Math.Clamp((box.Top + box.Height - Top) * Rows / Height, 0, Rows);
        for (int row = (int)top; row < Math.Ceiling(bottom); row++)
        {
            for (int column = (int)left; column < Math.Ceiling(right); column++)
            {
                if (rule.Covers(left - column, right - column, top - row, bottom - row))
                {
                    cells[(row * Columns) + column] |= bits;
                }
            }
        }
    }

    private static void CheckSize(VideoSize video)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(video.Width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(video.Height, 1);
    }
}
