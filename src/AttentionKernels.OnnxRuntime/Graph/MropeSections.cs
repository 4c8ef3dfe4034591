namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>
/// How multimodal rotary embedding shares out the HeadSize / 2 rotary frequencies, highest first: the first <paramref name="Time"/>
/// turn with a token's temporal position, the next <paramref name="Height"/> with its row in the picture, the last
/// <paramref name="Width"/> with its column. Text has the same number in all three.
/// </summary>
internal readonly record struct MropeSections(int Time, int Height, int Width)
{
    /// <summary>Frequencies in all.</summary>
    public int Sum => Time + Height + Width;

    /// <summary>Qwen2.5-VL's 16, 24, 24 of a head of 128, in proportion for another head size.</summary>
    public static MropeSections For(int headSize)
    {
        int time = headSize / 8;
        int height = headSize * 3 / 16;
        return new(time, height, (headSize / 2) - time - height);
    }

    /// <summary>Which of the three positions frequency <paramref name="i"/> turns with: 0 time, 1 height, 2 width.</summary>
    public int AxisOf(int i) => i < Time ? 0 : i < Time + Height ? 1 : 2;
}
