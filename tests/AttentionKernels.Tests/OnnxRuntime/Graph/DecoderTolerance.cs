using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.OnnxRuntime.Graph;

/// <summary>The tolerance rule for the logits of a generated decoder.</summary>
internal static class DecoderTolerance
{
    /// <summary>Checks logits [T, Vocabulary] against the decoder in float64.</summary>
    public static void Check(string name, DecoderConfig config, DecoderInput input, float[] logits)
    {
        // Half in every operation loses so much that its order does not matter.
        bool half = config.Type == ElementType.Float16;
        Lazy<float[]> halves = new(() => [.. new DecoderReference<Half>(config, input).Logits().Select(x => (float)x)]);
        Tolerance.Check(
            name, logits, new DecoderReference<double>(config, input).Logits(),
            order => half ? halves.Value : new DecoderReference<float>(config, input, order).Logits(),
            config.Type, $"{config}");
    }
}
