using System.Numerics;

namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>
/// Gives random weights the two habits of real attention heads that the demo is about. Nothing here is learned and nothing
/// means language: it is a mechanism put into the weights by hand, so that heads differ the way measured ones do.
/// </summary>
/// <remarks>
/// <para>With random weights alone attention is nearly flat, so each of 1500 keys gets about 7e-4 and every head would pass the score
/// threshold of 5e-5. In trained models most heads rest on the first token (a sink) and few look at the picture.</para>
/// <para><b>Sink.</b> Coordinate 0 of the residual stream is large in the first token and 0 elsewhere. No other weight reads or writes
/// it. Every key head answers to it in one rotary dimension, every query head asks for it with a bias of its own strength: that
/// bias is the logit that the head gives the first token. The first token's value is close to 0, as it is in trained models.</para>
/// <para><b>Grounding.</b> The next coordinates hold the code of a speaker (its words and the visual cells in its boxes share it; see
/// <see cref="SyntheticEmbeddings"/>). Every key head copies the code, few query heads ask for it: those attend from a speaker's
/// words to that speaker's cells.</para>
/// <para>Both live in the rotary dimensions of lowest frequency, which turn too little over some thousand positions to matter.</para>
/// </remarks>
internal static class PlantedHeads
{
    /// <summary>The coordinate of the residual stream that marks the first token.</summary>
    public const int SinkCoordinate = 0;

    /// <summary>
    /// Size of the sink coordinate in units of sqrt(Hidden): so large that the first token is nothing else after normalization,
    /// in every layer, whatever the layers before have added to it.
    /// </summary>
    public const float SinkAmplitude = 8;

    // Logits of the sink. With 1600 other keys of logit variance about 1, mass outside the sink is 1600 e^(0.5 - z): a row keeps less than
    // 5e-5 per key from z = 10.4 on.
    private const float WeakestSink = 9;
    private const float StrongestSink = 18;

    // One head in eight grounds, by up to this logit for a cell that belongs to the word's speaker alone.
    private const float GroundingShare = 0.125f;
    private const float StrongestGrounding = 6;

    /// <summary>First coordinate of the speaker code.</summary>
    public const int CodeCoordinate = 1;

    /// <summary>Coordinates of the speaker code: a quarter of a head's dimensions.</summary>
    public static int CodeLength(DecoderConfig config) => config.HeadSize / 4;

    /// <summary>Coordinates, from 0 on, that only planted weights touch.</summary>
    public static int ReservedCoordinates(DecoderConfig config) => CodeCoordinate + CodeLength(config);

    /// <summary>Dimensions of each head, lowest rotary frequency first, that only planted weights touch.</summary>
    public static bool IsReserved(DecoderConfig config, int dimension)
    {
        int half = config.HeadSize / 2;
        return dimension % half >= half - 1 - (CodeLength(config) / 2);
    }

    /// <summary>The dimension of a head that the sink uses: the first of its slowest rotary pair. The second stays 0.</summary>
    public static int SinkDimension(DecoderConfig config) => (config.HeadSize / 2) - 1;

    /// <summary>The dimension of a head that element <paramref name="i"/> of the speaker code uses: both of the next slowest pairs.</summary>
    public static int CodeDimension(DecoderConfig config, int i)
    {
        int half = config.HeadSize / 2;
        return half - 2 - (i / 2) + (half * (i % 2));
    }

    /// <summary>The logit that a query head gives the first token.</summary>
    public static float SinkLogit(DecoderConfig config, int layer, int head)
    {
        float u = new SeededNoise(config.Seed, "sink").Uniform(((long)layer * config.Heads) + head);
        return WeakestSink + ((StrongestSink - WeakestSink) * u);
    }

    /// <summary>The logit that a query head gives a cell of the row's own speaker; 0 for most heads.</summary>
    public static float GroundingLogit(DecoderConfig config, int layer, int head)
    {
        SeededNoise noise = new(config.Seed, "grounding");
        long i = 2 * (((long)layer * config.Heads) + head);
        return noise.Uniform(i) < GroundingShare ? StrongestGrounding * noise.Uniform(i + 1) : 0;
    }

    /// <summary>Writes the code of the speakers in <paramref name="speakers"/> into a row of the residual stream: signs of size 1 for one speaker.</summary>
    public static void WriteCode(DecoderConfig config, long speakers, Span<float> row)
    {
        if (speakers == 0)
        {
            return;
        }
        Span<float> code = row.Slice(CodeCoordinate, CodeLength(config));
        SeededNoise noise = new(config.Seed, "speaker");
        float share = 1 / MathF.Sqrt(BitOperations.PopCount((ulong)speakers));
        for (ulong rest = (ulong)speakers; rest != 0; rest &= rest - 1)
        {
            int speaker = BitOperations.TrailingZeroCount(rest);
            for (int i = 0; i < code.Length; i++)
            {
                code[i] += (noise.Bits(((long)speaker << 32) + i) & 1) == 0 ? share : -share;
            }
        }
    }
}
