using System.Numerics;

namespace AttentionKernels.Cpu;

/// <summary>
/// Working memory of one panel of up to 64 query rows; the panels of a task share the matrices of a tile. Matrices are [rows,
/// <see cref="Gemm.Pitch"/>] with one lane for each query row. How many panels there are is chosen so that all of it stays in the second-level cache.
/// </summary>
internal unsafe struct BlockMemory
{
    /// <summary>Keys of a tile: one ulong holds a bit for each.</summary>
    public const int TileKeys = 64;

    /// <summary>Floats between copied rows of K or V: a cache line, so that a column of them spreads over all sets of the cache.</summary>
    public const int RowGap = 16;

    /// <summary>[D, lane] scaled query, transposed.</summary>
    public float* Query;

    /// <summary>[TileKeys, lane] logits, then exponentials of all keys, or of those that are not aligned.</summary>
    public float* Scores;

    /// <summary>[TileKeys, lane] exponentials of aligned keys: in each group of lanes of its own <see cref="AlignedKeys"/>.</summary>
    public float* AlignedScores;

    /// <summary>[ValueHeadSize, lane] accumulated output.</summary>
    public float* Output;

    /// <summary>[ValueHeadSize, lane] accumulated output of aligned keys; holds nothing for a group of lanes that has not <see cref="Started"/>.</summary>
    public float* AlignedOutput;

    /// <summary>Bit for each group of lanes with a sum in <see cref="AlignedOutput"/>.</summary>
    public ulong* Started;

    /// <summary>[TileKeys, D + RowGap] keys widened to float32.</summary>
    public float* Key;

    /// <summary>[TileKeys, ValueHeadSize + RowGap] values widened to float32 or brought together.</summary>
    public float* Value;

    /// <summary>[LaneTranspose.Rows, larger head size] rows on their way in or out.</summary>
    public float* Rows;

    /// <summary>Query rows; 0: the panel has nothing to compute.</summary>
    public int Lanes;

    /// <summary>Lanes, rounded up to the group that a tile treats alike.</summary>
    public int Width;

    /// <summary>Keys that any row sees: [Lo, Hi).</summary>
    public int Lo, Hi;

    /// <summary>Keys that all rows see: [MaxFirst, MinEnd).</summary>
    public int MaxFirst, MinEnd;

    /// <summary>Bit for each lane with a row of U.</summary>
    public ulong SpokenLanes;

    /// <summary>Whether there are rows of U.</summary>
    public readonly bool HasSpoken => SpokenLanes != 0;

    /// <summary>Whether aligned keys have accumulators of their own.</summary>
    public bool Split;

    /// <summary>Runs of rows of U.</summary>
    public int RunCount;

    /// <summary>[lane] running maximum and sum of the rest class, and the factor that the last tile applied to them.</summary>
    public float* Max, Sum, Correction;

    /// <summary>[lane] largest logit of an aligned key.</summary>
    public float* MaxAligned;

    /// <summary>[lane] what the sum of aligned keys is relative to (Max when not split), that sum, and the factor that the last tile applied to it.</summary>
    public float* BaseAligned, SumAligned, AlignedCorrection;

    /// <summary>[lane] largest logit and sum of keys of V_all that are not aligned; the sum is relative to Max.</summary>
    public float* MaxBoxed, SumBoxed;

    /// <summary>[SpeakerCount, lane] sums by shared speaker, relative to what SumAligned is relative to.</summary>
    public float* SpeakerSums;

    /// <summary>[lane] visible keys.</summary>
    public int* First, End;

    /// <summary>[lane] query head, row, and index in U or -1.</summary>
    public int* Head, Row, Spoken;

    /// <summary>[lane group] bit for each key of the tile that is computed for it, side by side: all of them, or in a trimmed tile those that any of its lanes sees.</summary>
    public ulong* Seen;

    /// <summary>[lane group] keys of the tile that all of its lanes see: [WholeFrom, WholeTo), part of Seen. Nothing has to be hidden or marked there.</summary>
    public int* WholeFrom, WholeTo;

    /// <summary>[lane group] bit for each key of the tile that any of its lanes is aligned with.</summary>
    public ulong* AlignedKeys;

    /// <summary>[lane group] those of them that all of its lanes are aligned with.</summary>
    public ulong* WholeKeys;

    /// <summary>[TileKeys] bit for each lane that is aligned with the key; 0 for keys outside V_all.</summary>
    public ulong* Aligned;

    /// <summary>[RunCount] the runs of the block's rows of U.</summary>
    public int* Runs;

    /// <summary>[RunCount] lanes of each run.</summary>
    public ulong* RunLanes;

    /// <summary>Bytes that the panels of one task may take: half of a second-level cache of 1 MB, so that a tile and its products fit beside them.</summary>
    private const long PanelBytes = 512 << 10;

    /// <summary>Panels of a task at most, 1 to <see cref="AttentionCall.MaxPanels"/>; second outputs do not count, because few panels have rows of U.</summary>
    public static int PanelsThatFit(in AttentionProblem problem)
    {
        long outputs = problem.Value.IsEmpty ? 0 : 1;
        long bytes = Gemm.Pitch * sizeof(float) * (problem.HeadSize + (outputs * problem.ValueHeadSize));
        return (int)Math.Clamp(PanelBytes / bytes, 1, AttentionCall.MaxPanels);
    }

    /// <summary>Lays out <paramref name="count"/> panels that share a tile.</summary>
    public static void Lay(ref ScratchCursor scratch, in AttentionProblem problem, in SocialBias bias, int count, BlockMemory* panels)
    {
        const nuint Row = Gemm.Pitch * sizeof(float);
        nuint size = (nuint)problem.HeadSize, valueSize = problem.Value.IsEmpty ? 0 : (nuint)problem.ValueHeadSize;
        bool steered = !bias.Keys.IsEmpty;
        BlockMemory tile = new()
        {
            Scores = (float*)scratch.Take(TileKeys * Row),
            AlignedScores = (float*)scratch.Take(steered ? TileKeys * Row : 0),
            Key = (float*)scratch.Take(Copies(problem.Key, problem.HeadSize) ? TileKeys * (size + RowGap) * sizeof(float) : 0),
            Value = (float*)scratch.Take(Copies(problem.Value, problem.ValueHeadSize) ? TileKeys * (valueSize + RowGap) * sizeof(float) : 0),
            Rows = (float*)scratch.Take(LaneTranspose.Rows * Math.Max(size, valueSize) * sizeof(float)),
            Aligned = (ulong*)scratch.Take(TileKeys * sizeof(ulong)),
            Seen = (ulong*)scratch.Take(Gemm.Pitch * sizeof(ulong)),
            WholeFrom = (int*)scratch.Take(Row),
            WholeTo = (int*)scratch.Take(Row),
            AlignedKeys = (ulong*)scratch.Take(Gemm.Pitch * sizeof(ulong)),
            WholeKeys = (ulong*)scratch.Take(Gemm.Pitch * sizeof(ulong)),
        };
        for (int p = 0; p < count; p++)
        {
            panels[p] = tile;
            panels[p].Query = (float*)scratch.Take(size * Row);
            panels[p].Output = (float*)scratch.Take(valueSize * Row);
            panels[p].AlignedOutput = (float*)scratch.Take(steered ? valueSize * Row : 0);
            panels[p].Started = (ulong*)scratch.Take(sizeof(ulong));
            panels[p].Max = (float*)scratch.Take(Row);
            panels[p].Sum = (float*)scratch.Take(Row);
            panels[p].Correction = (float*)scratch.Take(Row);
            panels[p].MaxAligned = (float*)scratch.Take(Row);
            panels[p].BaseAligned = (float*)scratch.Take(Row);
            panels[p].SumAligned = (float*)scratch.Take(Row);
            panels[p].AlignedCorrection = (float*)scratch.Take(Row);
            panels[p].MaxBoxed = (float*)scratch.Take(Row);
            panels[p].SumBoxed = (float*)scratch.Take(Row);
            panels[p].SpeakerSums = (float*)scratch.Take((nuint)bias.SpeakerCount * Row);
            panels[p].First = (int*)scratch.Take(Row);
            panels[p].End = (int*)scratch.Take(Row);
            panels[p].Head = (int*)scratch.Take(Row);
            panels[p].Row = (int*)scratch.Take(Row);
            panels[p].Spoken = (int*)scratch.Take(Row);
            panels[p].Runs = (int*)scratch.Take(Row);
            panels[p].RunLanes = (ulong*)scratch.Take(Gemm.Pitch * sizeof(ulong));
        }
    }

    /// <summary>First key of the tile that is computed for a group of lanes; 64 where there is none.</summary>
    public readonly int FirstSeen(int group) => BitOperations.TrailingZeroCount(Seen[group]);

    /// <summary>
    /// Whether the rows of a tile of K or V are brought together before they are used: to widen them, or because they lie far apart. Then
    /// a column of them, which the product with V reads, falls into few sets of the cache, and each row into a page of its own.
    /// </summary>
    public static bool Copies(in TensorView tensor, int size) => !tensor.IsEmpty && (tensor.Type != ElementType.Float32 || tensor.RowStride != size);
}
