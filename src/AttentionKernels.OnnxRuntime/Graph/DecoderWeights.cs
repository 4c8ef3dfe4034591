namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>The weights of a decoder: noise of the seed, and what <see cref="PlantedHeads"/> puts in if asked to.</summary>
/// <param name="config">Sizes and seed.</param>
internal sealed class DecoderWeights(DecoderConfig config)
{
    // Sizes of query and key elements: their product is about the standard deviation of the logits.
    private const float QueryKeyGain = 1.2f;
    private const float BiasGain = 0.1f;
    private const float NormSpread = 0.1f;

    private readonly int _reserved = config.PlantHeads ? PlantedHeads.ReservedCoordinates(config) : 0;

    // Without it the stream would grow with every layer, and logits with it.
    private readonly float _feedForwardGain = 1 / MathF.Sqrt(config.Layers);

    /// <summary>Weights [Hidden] of the norm called <paramref name="name"/>, near 1.</summary>
    public float[] Norm(string name)
    {
        float[] weights = Noise(name, config.Hidden, NormSpread);
        for (int i = 0; i < weights.Length; i++)
        {
            weights[i] = i < _reserved ? 1 : 1 + weights[i];
        }
        return weights;
    }

    /// <summary>Residual stream to queries, with bias.</summary>
    public Projection Query(int layer)
    {
        Projection query = FromResidual($"q{layer}", config.Heads * config.HeadSize, QueryKeyGain, bias: true);
        if (config.PlantHeads)
        {
            ClearReservedDimensions(query, config.Heads);
            for (int h = 0; h < config.Heads; h++)
            {
                int head = h * config.HeadSize;
                query.Bias![head + PlantedHeads.SinkDimension(config)] = PlantedHeads.SinkLogit(config, layer, h);

                // The key holds a code of CodeLength signs; the dot product of two equal ones, divided by sqrt(D), shall be the logit.
                float demand = PlantedHeads.GroundingLogit(config, layer, h) * MathF.Sqrt(config.HeadSize) / PlantedHeads.CodeLength(config);
                PlantCode(query, head, demand);
            }
        }
        return query;
    }

    /// <summary>Residual stream to keys, with bias.</summary>
    public Projection Key(int layer)
    {
        Projection key = FromResidual($"k{layer}", config.KvHeads * config.HeadSize, QueryKeyGain, bias: true);
        if (config.PlantHeads)
        {
            ClearReservedDimensions(key, config.KvHeads);
            for (int h = 0; h < config.KvHeads; h++)
            {
                // The first token is sqrt(Hidden) here after its norm: its key becomes sqrt(D), and the query's bias the logit.
                int head = h * config.HeadSize;
                key.Matrix[(PlantedHeads.SinkCoordinate * key.Columns) + head + PlantedHeads.SinkDimension(config)] = MathF.Sqrt((float)config.HeadSize / config.Hidden);
                PlantCode(key, head, 1);
            }
        }
        return key;
    }

    /// <summary>Residual stream to values, with bias.</summary>
    public Projection Value(int layer) => FromResidual($"v{layer}", config.KvHeads * config.HeadSize, 1, bias: true);

    /// <summary>Heads to the residual stream.</summary>
    public Projection AttentionOutput(int layer) => ToResidual($"o{layer}", config.Heads * config.HeadSize, 1);

    /// <summary>Residual stream to the gate of the feed-forward block.</summary>
    public Projection Gate(int layer) => FromResidual($"gate{layer}", config.Intermediate, 1, bias: false);

    /// <summary>Residual stream to what the gate lets through.</summary>
    public Projection Up(int layer) => FromResidual($"up{layer}", config.Intermediate, 1, bias: false);

    /// <summary>Feed-forward block to the residual stream.</summary>
    public Projection Down(int layer) => ToResidual($"down{layer}", config.Intermediate, _feedForwardGain);

    /// <summary>Residual stream to the logits of the vocabulary.</summary>
    public Projection LanguageHead() => FromResidual("lm_head", config.Vocabulary, 1, bias: false);

    private Projection FromResidual(string name, int columns, float gain, bool bias)
    {
        float[] matrix = Noise(name, (long)config.Hidden * columns, gain / MathF.Sqrt(config.Hidden));
        Projection projection = new(config.Hidden, columns, matrix, bias ? Noise(name + ".bias", columns, BiasGain) : null);
        for (int row = 0; row < _reserved; row++)
        {
            projection.ClearRow(row);
        }
        return projection;
    }

    private Projection ToResidual(string name, int rows, float gain)
    {
        float[] matrix = Noise(name, (long)rows * config.Hidden, gain / MathF.Sqrt(rows));
        Projection projection = new(rows, config.Hidden, matrix);
        for (int column = 0; column < _reserved; column++)
        {
            projection.ClearColumn(column);
        }
        return projection;
    }

    private void ClearReservedDimensions(Projection projection, int heads)
    {
        for (int column = 0; column < heads * config.HeadSize; column++)
        {
            if (PlantedHeads.IsReserved(config, column % config.HeadSize))
            {
                projection.ClearColumn(column);
            }
        }
    }

    private void PlantCode(Projection projection, int head, float factor)
    {
        for (int i = 0; i < PlantedHeads.CodeLength(config); i++)
        {
            int row = PlantedHeads.CodeCoordinate + i;
            projection.Matrix[(row * projection.Columns) + head + PlantedHeads.CodeDimension(config, i)] = factor;
        }
    }

    private float[] Noise(string name, long length, float gain)
    {
        SeededNoise noise = new(config.Seed, name);
        float[] values = new float[length];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = gain * noise.Normal(i);
        }
        return values;
    }
}
