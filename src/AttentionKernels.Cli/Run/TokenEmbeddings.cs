using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.Scenes;

namespace AttentionKernels.Cli.Run;

/// <summary>Embeddings [S, hidden] of a scene's tokens.</summary>
internal static class TokenEmbeddings
{
    /// <summary>Stand-ins without meaning: a seeded row for each word and each visual cell.</summary>
    /// <param name="tokens">The scene.</param>
    /// <param name="config">The decoder they are for: size, seed, and whether its planted heads know the speakers.</param>
    public static float[] Synthetic(SceneTokens tokens, DecoderConfig config) =>
        new SyntheticEmbeddings(config).Rows(tokens.TokenIds, tokens.Modality, tokens.Speakers);

    /// <summary>Reads a host's embeddings, [S, hidden] or [1, S, hidden] float32.</summary>
    /// <exception cref="RunException">The file is not readable or its shape is not that of the scene and the model.</exception>
    public static float[] Load(string path, int tokens, int hidden)
    {
        (float[] values, long[] shape) = NpyFile.ReadFloats(path);
        bool fits = shape.Length is 2 or 3 && shape[^1] == hidden && shape[^2] == tokens && (shape.Length == 2 || shape[0] == 1);
        return fits
            ? values
            : throw new RunException($"{path}: the shape is ({string.Join(", ", shape)}), expected ({tokens}, {hidden}) or (1, {tokens}, {hidden}): one row for each token of the scene.");
    }

    /// <summary>The embeddings with every number moved to the next larger one of its type: the smallest change there is. Zeros stay: beside them are only subnormal numbers, with which processors are slow.</summary>
    /// <param name="embeddings">The embeddings.</param>
    /// <param name="half">Whether the model reads them as float16.</param>
    public static float[] MovedByOneStep(float[] embeddings, bool half) =>
        Array.ConvertAll(embeddings, value => half ? Moved((Half)value) : Moved(value));

    private static float Moved(float value) => value == 0 ? 0 : MathF.BitIncrement(value);

    private static float Moved(Half value) => value == Half.Zero ? 0 : (float)Half.BitIncrement(value);
}
