using System.Numerics;
using AttentionKernels.Cpu;

namespace AttentionKernels.Cuda;

/// <summary>
/// What scores by speaker need beside a <see cref="RolePlan"/>. The partials that a row of U leaves for its head's score are those of its speaker, too, if it shares one alone with keys of V_all. A row
/// that shares several is computed once more for each, with the keys of that speaker alone as the aligned ones: pass n takes the n-th speaker of each such row. Utterances mostly have one speaker, and
/// then there is no pass.
/// </summary>
internal unsafe struct SpeakerPlan
{
    /// <summary>Passes at most.</summary>
    public int Passes;

    /// <summary>Rows of partials that passes leave at most, behind those of U, and the utterances that they form.</summary>
    public int Rows, Runs;

    /// <summary>Entries of <see cref="SpeakerRows"/> at most.</summary>
    public int Entries;

    /// <summary>[Passes, B, S] index among the passes' rows of partials; -1: not in this pass.</summary>
    public int* Index;

    /// <summary>[Rows] row of <see cref="Aligned"/>.</summary>
    public int* Run;

    /// <summary>[Runs, tiles] bit for each key of V_all that shares the speaker.</summary>
    public ulong* Aligned;

    /// <summary>[Passes, at most B * row blocks] row blocks of each pass.</summary>
    public int* Blocks;

    /// <summary>[Passes] how many.</summary>
    public int* BlockCounts;

    /// <summary>[B * speakers + 1] start of each element's and speaker's entries.</summary>
    public int* SpeakerStart;

    /// <summary>[Entries] rows of partials, those of U first.</summary>
    public int* SpeakerRows;

    /// <summary>[B, speakers] pairs (u in U, v in V_all) that share the speaker.</summary>
    public float* SpeakerPairs;

    private int _blocksOfPass;

    /// <summary>Counts what there may be at most, by the speakers that rows have.</summary>
    public static SpeakerPlan Count(in AttentionProblem problem, in SocialBias bias)
    {
        SpeakerPlan plan = default;
        for (int b = 0; b < problem.Batch; b++)
        {
            Role last = default;
            bool inRun = false;
            for (int i = 0; i < problem.QueryLength; i++)
            {
                bool isSpoken = bias.TryGetSpokenRow(problem, b, i, out TokenRoles roles, out int token);
                if (isSpoken)
                {
                    Role role = Role.Of(roles, b, token);
                    int speakers = BitOperations.PopCount((ulong)role.Speakers), several = speakers > 1 ? speakers : 0;
                    plan.Passes = Math.Max(plan.Passes, several);
                    plan.Rows += several;
                    plan.Runs += inRun && role == last ? 0 : several;
                    plan.Entries += speakers;
                    last = role;
                }
                inRun = isSpoken;
            }
        }
        return plan;
    }

    /// <summary>Takes the arrays, all of which are uploaded.</summary>
    /// <param name="upload">Staging memory.</param>
    /// <param name="problem">Sizes.</param>
    /// <param name="speakers">Speakers with a score.</param>
    /// <param name="tiles">Tiles of 64 keys.</param>
    /// <param name="rowsOfBlock">Query rows of a block of the kernel that makes the partials.</param>
    public void Reserve(ref ScratchCursor upload, in AttentionProblem problem, int speakers, int tiles, int rowsOfBlock)
    {
        nuint passes = (nuint)Passes, batch = (nuint)problem.Batch, groups = batch * (nuint)speakers;
        _blocksOfPass = checked(problem.Batch * CudaPlan.DivideUp(problem.QueryLength, rowsOfBlock));
        Index = (int*)upload.Take(checked(passes * batch * (nuint)problem.QueryLength * sizeof(int)));
        Run = (int*)upload.Take((nuint)Rows * sizeof(int));
        Aligned = (ulong*)upload.Take(checked((nuint)Runs * (nuint)tiles * sizeof(ulong)));
        Blocks = (int*)upload.Take(checked(passes * (nuint)_blocksOfPass * sizeof(int)));
        BlockCounts = (int*)upload.Take(passes * sizeof(int));
        SpeakerStart = (int*)upload.Take((groups + 1) * sizeof(int));
        SpeakerRows = (int*)upload.Take((nuint)Entries * sizeof(int));
        SpeakerPairs = (float*)upload.Take(groups * sizeof(float));
    }

    /// <summary>Fills the arrays.</summary>
    /// <param name="problem">The problem, lengths in host memory.</param>
    /// <param name="bias">Roles.</param>
    /// <param name="roles">What they mean, filled.</param>
    /// <param name="rowsOfBlock">As for <see cref="Reserve"/>.</param>
    public readonly void Fill(in AttentionProblem problem, in SocialBias bias, in RolePlan roles, int rowsOfBlock)
    {
        ulong scored = (1ul << bias.SpeakerCount) - 1;
        int rows = problem.QueryLength, row = 0, run = 0, entry = 0, spoken = roles.SpokenStart[problem.Batch];
        long elements = (long)problem.Batch * rows;
        new Span<int>(Index, checked((int)(Passes * elements))).Fill(-1);
        for (int b = 0; b < problem.Batch; b++)
        {
            for (int u = roles.SpokenStart[b], last = -1; u < roles.SpokenStart[b + 1]; u++)
            {
                ulong shared = SeveralOf(roles, u);
                if (shared == 0)
                {
                    continue;
                }
                long at = ((long)b * rows) + roles.SpokenRow[u];
                if (roles.Run[u] != last)
                {
                    last = roles.Run[u];
                    _ = bias.TryGetSpokenRow(problem, b, roles.SpokenRow[u], out TokenRoles all, out int token);
                    FillAligned(bias, b, Role.Of(all, b, token), roles, last, shared & scored, run);
                    run += BitOperations.PopCount(shared & scored);
                }
                int count = BitOperations.PopCount(shared & scored);
                for (int pass = 0; pass < count; pass++)
                {
                    Index[(pass * elements) + at] = row;
                    Run[row++] = run - count + pass;
                }
            }
            for (int n = 0; n < bias.SpeakerCount; n++)
            {
                int group = (b * bias.SpeakerCount) + n;
                SpeakerStart[group] = entry;
                SpeakerPairs[group] = roles.SpeakerPairs[group];
                for (int u = roles.SpokenStart[b]; u < roles.SpokenStart[b + 1]; u++)
                {
                    // A row without a pair is left out, so that a NaN of its own is none of this speaker's.
                    if (((roles.SharedSpeakers[roles.Run[u]] >> n) & 1) != 0)
                    {
                        int pass = BitOperations.PopCount(SeveralOf(roles, u) & ((1ul << n) - 1));
                        SpeakerRows[entry++] = SeveralOf(roles, u) == 0 ? u : spoken + Index[(pass * elements) + ((long)b * rows) + roles.SpokenRow[u]];
                    }
                }
            }
        }
        SpeakerStart[problem.Batch * bias.SpeakerCount] = entry;
        for (int pass = 0; pass < Passes; pass++)
        {
            FillBlocks(problem, pass, rowsOfBlock);
        }
    }

    /// <summary>Row blocks of a pass.</summary>
    public readonly int* BlocksOf(int pass) => Blocks + ((long)pass * _blocksOfPass);

    /// <summary>The speakers of a row of U that shares more than one; else 0.</summary>
    private static ulong SeveralOf(in RolePlan roles, int u)
    {
        ulong shared = (ulong)roles.SharedSpeakers[roles.Run[u]];
        return BitOperations.IsPow2(shared) ? 0 : shared;
    }

    /// <summary>Bits of the keys of a run for each of some speakers.</summary>
    private readonly void FillAligned(in SocialBias bias, int b, Role row, in RolePlan roles, int run, ulong speakers, int target)
    {
        for (; speakers != 0; speakers &= speakers - 1, target++)
        {
            int speaker = BitOperations.TrailingZeroCount(speakers);
            for (int tile = 0; tile < roles.Tiles; tile++)
            {
                ulong keys = 0;
                for (ulong set = roles.Aligned[((long)run * roles.Tiles) + tile]; set != 0; set &= set - 1)
                {
                    int n = BitOperations.TrailingZeroCount(set);
                    long shared = row.SharedSpeakers(Role.Of(bias.Keys, b, (tile * BlockMemory.TileKeys) + n));
                    keys |= ((ulong)shared >> speaker & 1) << n;
                }
                Aligned[((long)target * roles.Tiles) + tile] = keys;
            }
        }
    }

    /// <summary>Row blocks with rows of a pass. Late rows first where they see the most keys.</summary>
    private readonly void FillBlocks(in AttentionProblem problem, int pass, int size)
    {
        int rows = problem.QueryLength, blocks = CudaPlan.DivideUp(rows, size), count = 0;
        for (int n = 0; n < blocks; n++)
        {
            int block = problem.Causal ? blocks - 1 - n : n;
            for (int b = 0; b < problem.Batch; b++)
            {
                int* index = Index + ((((long)pass * problem.Batch) + b) * rows) + ((long)block * size);
                if (new ReadOnlySpan<int>(index, Math.Min(size, rows - (block * size))).ContainsAnyExcept(-1))
                {
                    BlocksOf(pass)[count++] = (b * blocks) + block;
                }
            }
        }
        BlockCounts[pass] = count;
    }
}
