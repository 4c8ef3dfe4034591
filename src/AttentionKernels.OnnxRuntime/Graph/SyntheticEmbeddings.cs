namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>
/// Stand-ins for the embedding table and the vision encoder that a generated decoder does not have: one seeded row of
/// variance 1 per token id and per visual cell. They carry no meaning except what <see cref="PlantedHeads"/> describes.
/// </summary>
internal sealed class SyntheticEmbeddings
{
    private readonly DecoderConfig _config;
    private readonly SeededNoise _text;
    private readonly SeededNoise _visual;

    /// <summary>Embeddings for the decoder of <paramref name="config"/>, from its seed.</summary>
    public SyntheticEmbeddings(DecoderConfig config)
    {
        _config = config;
        _text = new SeededNoise(config.Seed, "text");
        _visual = new SeededNoise(config.Seed, "visual");
    }

    /// <summary>Writes the embedding of a word.</summary>
    /// <param name="token">The token's id: the same id gives the same row wherever it stands. Not negative.</param>
    /// <param name="speakers">Bit mask of who says it; 0: nobody.</param>
    /// <param name="row">[Hidden] receives the embedding.</param>
    public void Text(long token, long speakers, Span<float> row) => Fill(_text, token, speakers, row);

    /// <summary>Writes the embedding of a visual cell.</summary>
    /// <param name="cell">The cell's index in the clip, over all frames. Not negative.</param>
    /// <param name="speakers">Bit mask of whose boxes it lies in; 0: nobody's.</param>
    /// <param name="row">[Hidden] receives the embedding.</param>
    public void Visual(long cell, long speakers, Span<float> row) => Fill(_visual, cell, speakers, row);

    /// <summary>Marks a row as the sequence's first token, on which heads sink. Without planted heads it changes nothing.</summary>
    public void MarkFirst(Span<float> row)
    {
        if (_config.PlantHeads)
        {
            row[PlantedHeads.SinkCoordinate] = PlantedHeads.SinkAmplitude * MathF.Sqrt(_config.Hidden);
        }
    }

    private void Fill(SeededNoise noise, long index, long speakers, Span<float> row)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(row.Length, _config.Hidden);
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        for (int i = 0; i < row.Length; i++)
        {
            row[i] = noise.Normal((index * row.Length) + i);
        }
        if (_config.PlantHeads)
        {
            row[..PlantedHeads.ReservedCoordinates(_config)].Clear();
            PlantedHeads.WriteCode(_config, speakers, row);
        }
    }
}
