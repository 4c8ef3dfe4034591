namespace AttentionKernels.Cpu;

/// <summary>A worker's memory for <see cref="AttentionDecode{V}"/>: row-major, one row for each query row, rounded up to four.</summary>
internal unsafe struct DecodeMemory
{
    /// <summary>Keys of a chunk: what one task takes. 256 keys of size 128 are 256 KB of K and V, enough to make up for the combination.</summary>
    public const int ChunkKeys = 256;

    /// <summary>Query rows of a task at most, all heads of a group together.</summary>
    public const int MaxRows = 16;

    /// <summary>Keys that are widened to float32 at a time.</summary>
    public const int WidenedKeys = 32;

    /// <summary>[MaxRows, QueryStride] scaled query.</summary>
    public float* Query;

    /// <summary>[MaxRows, ChunkKeys] logits, then exponentials of all keys, or of those that are not aligned.</summary>
    public float* Scores;

    /// <summary>[MaxRows, ChunkKeys] the same for aligned keys of rows whose head may be active.</summary>
    public float* AlignedScores;

    /// <summary>[MaxRows, OutputStride] accumulated output.</summary>
    public float* Output;

    /// <summary>[MaxRows, OutputStride] accumulated output of aligned keys.</summary>
    public float* AlignedOutput;

    /// <summary>[WidenedKeys, D] and [WidenedKeys, ValueHeadSize].</summary>
    public float* Key, Value;

    /// <summary>Floats from one row to the next.</summary>
    public int QueryStride, OutputStride;

    /// <summary>Lays the arrays out.</summary>
    public static DecodeMemory At(ref ScratchCursor scratch, in AttentionProblem problem, in SocialBias bias)
    {
        int size = problem.HeadSize, valueSize = problem.Value.IsEmpty ? 0 : problem.ValueHeadSize;
        bool steered = !bias.Keys.IsEmpty;
        DecodeMemory memory = new() { QueryStride = RoundUp(size), OutputStride = RoundUp(valueSize) };
        memory.Query = Floats(ref scratch, MaxRows * memory.QueryStride);
        memory.Scores = Floats(ref scratch, MaxRows * ChunkKeys);
        memory.AlignedScores = Floats(ref scratch, steered ? MaxRows * ChunkKeys : 0);
        memory.Output = Floats(ref scratch, MaxRows * memory.OutputStride);
        memory.AlignedOutput = Floats(ref scratch, steered ? MaxRows * memory.OutputStride : 0);
        memory.Key = Floats(ref scratch, problem.Key.Type == ElementType.Float32 ? 0 : WidenedKeys * size);
        memory.Value = Floats(ref scratch, problem.Value.IsEmpty || problem.Value.Type == ElementType.Float32 ? 0 : WidenedKeys * valueSize);
        return memory;

        static float* Floats(ref ScratchCursor scratch, int count) => (float*)scratch.Take((nuint)count * sizeof(float));
        static int RoundUp(int size) => (size + 15) & ~15;
    }
}
