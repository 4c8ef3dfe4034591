using AttentionKernels.OnnxRuntime.Graph;

namespace AttentionKernels.Cli.Run;

/// <summary>Which layers to steer when nobody says: the paper's 10..19 of the 28 of Qwen2.5-VL-7B, the best of the ranges it tried, scaled to a model's depth.</summary>
internal static class PaperLayers
{
    private const int First = 10;
    private const int End = 20;
    private const int Count = 28;

    /// <summary>The layers of a model with <paramref name="count"/> layers: always at least one.</summary>
    public static LayerRange Of(int count)
    {
        int first = Scale(First, count);
        int last = Math.Max(first, Scale(End, count) - 1);
        return LayerRange.Parse(FormattableString.Invariant($"{first}-{last}"));
    }

    private static int Scale(int layer, int count) => (int)Math.Round((double)layer * count / Count);
}
