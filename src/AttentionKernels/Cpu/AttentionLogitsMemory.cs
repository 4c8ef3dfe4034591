namespace AttentionKernels.Cpu;

/// <summary>A worker's working memory for <see cref="AttentionLogitsBlock{V}"/>: matrices are [rows, <see cref="Gemm.Pitch"/>], one lane for each query row.</summary>
internal unsafe struct AttentionLogitsMemory
{
    /// <summary>Keys of a tile.</summary>
    public const int TileKeys = 64;

    /// <summary>[D, lane] scaled query, transposed.</summary>
    public float* Query;

    /// <summary>[TileKeys, lane] logits, then probabilities.</summary>
    public float* Scores;

    /// <summary>[TileKeys, D] keys widened to float32.</summary>
    public float* Key;

    /// <summary>[lane] maximum and sum of exponentials relative to it.</summary>
    public float* Max, Sum;

    /// <summary>[lane] visible keys.</summary>
    public int* First, End;

    /// <summary>Bytes of one worker.</summary>
    public static nuint Bytes(in AttentionProblem problem)
    {
        ScratchCursor scratch = new(null);
        At(ref scratch, problem);
        return scratch.Used;
    }

    /// <summary>Lays the arrays out.</summary>
    public static AttentionLogitsMemory At(ref ScratchCursor scratch, in AttentionProblem problem)
    {
        const nuint Row = Gemm.Pitch * sizeof(float);
        nuint size = (nuint)problem.HeadSize;
        return new AttentionLogitsMemory
        {
            Query = (float*)scratch.Take(size * Row),
            Scores = (float*)scratch.Take(TileKeys * Row),
            Key = (float*)scratch.Take(problem.Key.Type == ElementType.Float32 ? 0 : TileKeys * size * sizeof(float)),
            Max = (float*)scratch.Take(Row),
            Sum = (float*)scratch.Take(Row),
            First = (int*)scratch.Take(Row),
            End = (int*)scratch.Take(Row),
        };
    }
}
