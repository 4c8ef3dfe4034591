namespace AttentionKernels.Cpu;

/// <summary>
/// A worker's working memory. Matrices are [rows, <see cref="Gemm.Pitch"/>] with one lane for each query row; about 200 KB for
/// head size 128, so that it stays in the second-level cache.
/// </summary>
internal unsafe struct BlockMemory
{
    /// <summary>Keys of a tile.</summary>
    public const int TileKeys = 64;

    /// <summary>[D, lane] scaled query, transposed.</summary>
    public float* Query;

    /// <summary>[TileKeys, lane] logits, then exponentials of all keys, or of those that are not aligned.</summary>
    public float* Scores;

    /// <summary>[TileKeys, lane] exponentials of aligned keys.</summary>
    public float* AlignedScores;

    /// <summary>[ValueHeadSize, lane] accumulated output.</summary>
    public float* Output;

    /// <summary>[ValueHeadSize, lane] accumulated output of aligned keys.</summary>
    public float* AlignedOutput;

    /// <summary>[TileKeys, D] keys widened to float32.</summary>
    public float* Key;

    /// <summary>[TileKeys, ValueHeadSize] values widened to float32.</summary>
    public float* Value;

    /// <summary>[lane] running maximum and sum of the rest class, and the factor that the last tile applied to them.</summary>
    public float* Max, Sum, Correction;

    /// <summary>[lane] running maximum and sum of aligned keys, and the factor that the last tile applied to them.</summary>
    public float* MaxAligned, SumAligned, AlignedCorrection;

    /// <summary>[lane] running maximum and sum of keys of V_all that are not aligned; the sum is relative to Max.</summary>
    public float* MaxBoxed, SumBoxed;

    /// <summary>[SpeakerCount, lane] sums by shared speaker, relative to the maximum that SumAligned is relative to.</summary>
    public float* SpeakerSums;

    /// <summary>[lane] visible keys.</summary>
    public int* First, End;

    /// <summary>[lane] query head, row, and index in U or -1.</summary>
    public int* Head, Row, Spoken;

    /// <summary>[TileKeys] bit for each lane that is aligned with the key; 0 for keys outside V_all.</summary>
    public ulong* Aligned;

    /// <summary>[RoleCount] the different roles of the block's rows of U, and their lanes.</summary>
    public Role* Roles;

    /// <summary>[RoleCount] lanes of each role.</summary>
    public ulong* RoleLanes;

    /// <summary>Lays the arrays out.</summary>
    public static BlockMemory At(ref ScratchCursor scratch, in AttentionProblem problem, in SocialBias bias)
    {
        const nuint Row = Gemm.Pitch * sizeof(float);
        nuint size = (nuint)problem.HeadSize, valueSize = problem.Value.IsEmpty ? 0 : (nuint)problem.ValueHeadSize;
        bool steered = !bias.Keys.IsEmpty;
        bool widen = problem.Key.Type != ElementType.Float32;
        return new BlockMemory
        {
            Query = (float*)scratch.Take(size * Row),
            Scores = (float*)scratch.Take(TileKeys * Row),
            AlignedScores = (float*)scratch.Take(steered ? TileKeys * Row : 0),
            Output = (float*)scratch.Take(valueSize * Row),
            AlignedOutput = (float*)scratch.Take(steered ? valueSize * Row : 0),
            Key = (float*)scratch.Take(widen ? TileKeys * size * sizeof(float) : 0),
            Value = (float*)scratch.Take(widen ? TileKeys * valueSize * sizeof(float) : 0),
            Max = (float*)scratch.Take(Row),
            Sum = (float*)scratch.Take(Row),
            Correction = (float*)scratch.Take(Row),
            MaxAligned = (float*)scratch.Take(Row),
            SumAligned = (float*)scratch.Take(Row),
            AlignedCorrection = (float*)scratch.Take(Row),
            MaxBoxed = (float*)scratch.Take(Row),
            SumBoxed = (float*)scratch.Take(Row),
            SpeakerSums = (float*)scratch.Take((nuint)bias.SpeakerCount * Row),
            First = (int*)scratch.Take(Row),
            End = (int*)scratch.Take(Row),
            Head = (int*)scratch.Take(Row),
            Row = (int*)scratch.Take(Row),
            Spoken = (int*)scratch.Take(Row),
            Aligned = (ulong*)scratch.Take(TileKeys * sizeof(ulong)),
            Roles = (Role*)scratch.Take(Gemm.Pitch * (nuint)sizeof(Role)),
            RoleLanes = (ulong*)scratch.Take(Gemm.Pitch * sizeof(ulong)),
        };
    }
}
