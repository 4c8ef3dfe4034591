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

    /// <summary>The embeddings [T, Hidden] of a whole sequence, its first token marked.</summary>
    /// <param name="tokenIds">[T] ids; those of visual tokens do not matter.</param>
    /// <param name="modality">[T] values of <see cref="Modality"/>.</param>
    /// <param name="speakers">[T] bit masks of speakers.</param>
    public float[] Rows(ReadOnlySpan<int> tokenIds, ReadOnlySpan<byte> modality, ReadOnlySpan<long> speakers)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(modality.Length, tokenIds.Length);
        ArgumentOutOfRangeException.ThrowIfNotEqual(speakers.Length, tokenIds.Length);
        float[] rows = new float[(long)tokenIds.Length * _config.Hidden];
        int cell = 0;
        for (int t = 0; t < tokenIds.Length; t++)
        {
            Span<float> row = rows.AsSpan(t * _config.Hidden, _config.Hidden);
            if (modality[t] == (byte)Modality.Visual)
            {
                Visual(cell++, speakers[t], row);
            }
            else
            {
                Text(tokenIds[t], speakers[t], row);
            }
            if (t == 0)
            {
                MarkFirst(row);
            }
        }
        return rows;
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
