namespace AttentionKernels.Cpu;

/// <summary>One call of the engine, as its worker threads see it. Lives on the caller's stack.</summary>
internal unsafe struct AttentionCall
{
    public AttentionProblem Problem;
    public SocialBias Bias;
    public RolePlan Plan;

    /// <summary>Partials of calls with few query rows.</summary>
    public DecodePlan Decode;

    /// <summary>|U| over the batch; 0 without roles.</summary>
    public int Spoken;

    /// <summary>Query rows of a block.</summary>
    public int RowsPerBlock;

    /// <summary>Query heads of a block; more than one only where a group shares its key head and has few rows.</summary>
    public int HeadsPerBlock;

    /// <summary>Panels of a task at most.</summary>
    public const int MaxPanels = 8;

    /// <summary>Blocks of rows and heads that one task takes through K and V together.</summary>
    public int PanelsPerTask;

    /// <summary>[H, |U|] statistics of rows of U.</summary>
    public SpokenRow* SpokenRows;

    /// <summary>
    /// [H, PlainVectors, ValueHeadSize, 16] outputs without the bias of rows of U whose head may be active by its own score, in their <see cref="RolePlan.Slot"/>;
    /// the output has those with it. Not transposed, since only those of heads that turn out inactive are read.
    /// </summary>
    public float* PlainOutput;

    /// <summary>Vectors of <see cref="PlainOutput"/> for each head.</summary>
    public int PlainVectors;

    /// <summary>[H, |U|, SpeakerCount] each row's probability on the keys it is aligned with, by shared speaker.</summary>
    public float* SpeakerSums;

    /// <summary>A <see cref="BlockMemory"/> for each panel of a task, or a <see cref="DecodeMemory"/>, for each worker.</summary>
    public byte* WorkerMemory;

    /// <summary>Bytes of one worker's memory.</summary>
    public nuint WorkerBytes;

    /// <summary>Tasks of the pass.</summary>
    public long Tasks;

    /// <summary>Blocks along the query rows.</summary>
    public readonly int RowBlocks => (Problem.QueryLength + RowsPerBlock - 1) / RowsPerBlock;

    /// <summary>Blocks along the heads of one group.</summary>
    public readonly int HeadBlocks => ((Problem.Heads / Problem.KvHeads) + HeadsPerBlock - 1) / HeadsPerBlock;

    /// <summary>Tasks of one key head of one batch element.</summary>
    public readonly int TasksPerGroup => ((RowBlocks * HeadBlocks) + PanelsPerTask - 1) / PanelsPerTask;

    /// <summary>
    /// Whether head <paramref name="h"/> of batch element <paramref name="b"/> may turn out active, so that aligned keys need their own accumulator.
    /// </summary>
    public readonly bool MayBeActive(int b, int h) => (!Problem.Value.IsEmpty || Bias.Alignment != null) && !Bias.IsInert
        && (Bias.HeadScoresIn == null || Bias.HeadScoresIn[(b * Problem.Heads) + h] > Bias.Lambda);

    /// <summary>Whether statistics of aligned keys are wanted that a head which cannot be active has, too.</summary>
    public readonly bool MeasuresAligned => Bias.Alignment != null || Bias.SpeakerScores != null;

    /// <summary>Whether it matters which keys are aligned, to any head.</summary>
    public readonly bool NeedsAligned => MeasuresAligned || (!Problem.Value.IsEmpty && !Bias.IsInert);

    /// <summary>Leaves what the epilogue needs of row <paramref name="u"/> of U, which is row <paramref name="n"/> of <paramref name="factors"/>.</summary>
    public readonly void StoreSpoken(int head, int u, in SocialBiasFactors factors, int n, float* speakerSums, int speakerStride)
    {
        long at = ((long)head * Spoken) + u;
        SpokenRows[at] = new SpokenRow
        {
            Visual = factors.Visual[n],
            Aligned = factors.AlignedMass[n],
            BiasedAligned = factors.BiasedAlignedMass[n],
            Largest = factors.Largest[n],
            BiasedLargest = factors.BiasedLargest[n],
        };
        for (int speaker = 0; speaker < Bias.SpeakerCount; speaker++)
        {
            SpeakerSums[(at * Bias.SpeakerCount) + speaker] = (float)(speakerSums[speaker * speakerStride] * factors.AlignedProbability[n]);
        }
    }

    /// <summary>Where row <paramref name="u"/> of U and head <paramref name="head"/> lies in <see cref="PlainOutput"/>; one element every <see cref="RolePlan.OrderGroup"/>.</summary>
    public readonly float* PlainRow(int head, int u)
    {
        int slot = Plan.Slot[u];
        long vector = ((long)head * PlainVectors) + (slot / RolePlan.OrderGroup);
        return PlainOutput + (vector * Problem.ValueHeadSize * RolePlan.OrderGroup) + (slot % RolePlan.OrderGroup);
    }
}
