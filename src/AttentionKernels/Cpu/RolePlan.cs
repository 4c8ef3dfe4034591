using System.Numerics;
using System.Runtime.InteropServices;

namespace AttentionKernels.Cpu;

/// <summary>
/// What the roles of a call mean for its rows and keys, worked out once before the pass: U, V_all, and which keys each row of U is aligned
/// with, as a bit for each key. Rows side by side with the same role, one utterance, are one <em>run</em> and share their bits.
/// O(S + T + runs * T / 8) bytes; O(|V_all|) time for each run.
/// </summary>
internal unsafe struct RolePlan
{
    /// <summary>Rows that <see cref="Order"/> keeps together: the lanes of the widest vector.</summary>
    public const int OrderGroup = 16;

    /// <summary>Bits of a speaker mask that can be set.</summary>
    private const int MaxSpeakers = 63;

    /// <summary>Tiles of 64 keys: one ulong holds a bit for each.</summary>
    public int Tiles;

    /// <summary>[B, Tiles] bit for each key of V_all.</summary>
    public ulong* Boxed;

    /// <summary>[B, Tiles * 64] 1 for a key of V_all, else 0: what its exponential counts in a sum over V_all.</summary>
    public float* BoxedWeight;

    /// <summary>[B, Tiles * 64] 0 for a key of V_all, else -inf: added to its logit for a maximum over V_all.</summary>
    public float* BoxedPenalty;

    /// <summary>[B, S] index of the row in U, counted over the whole batch; -1 when it is not in U.</summary>
    public int* SpokenIndex;

    /// <summary>
    /// [B, S] the rows in the order in which blocks take them: each run gives full vectors of lanes, what is left of it waits until it fills one with what is left of
    /// later ones, U apart from the others. In the rows' own order most vectors would hold the end of one utterance and the start of the next, and a tile's second
    /// product would take the keys of both. Waiting is cheaper than going ahead: with a causal mask a late row in an early vector shows it all tiles up to its own.
    /// </summary>
    public int* Order;

    /// <summary>[|U|] place of the row's output without the bias: vector * <see cref="OrderGroup"/> + lane, in vectors that hold rows of U.</summary>
    public int* Slot;

    /// <summary>[|U|] query row.</summary>
    public int* SpokenRow;

    /// <summary>[|U|] run.</summary>
    public int* Run;

    /// <summary>[runs, Tiles] bit for each key of V_all that the run's rows are aligned with, masked or not.</summary>
    public ulong* Aligned;

    /// <summary>[runs] number of those keys.</summary>
    public int* AlignedKeys;

    /// <summary>[runs] speakers that the rows share with any key of V_all while their frame spans overlap.</summary>
    public long* SharedSpeakers;

    /// <summary>[B + 1] start of each batch element's rows in U.</summary>
    public int* SpokenStart;

    /// <summary>[B] |V_all|.</summary>
    public int* BoxedCount;

    /// <summary>[B, SpeakerCount] pairs (u in U, v in V_all) that share the speaker and overlap in time.</summary>
    public long* SpeakerPairs;

    /// <summary>Rows of U over the whole batch, and how many runs they form.</summary>
    public static (int Rows, int Runs) CountSpoken(in AttentionProblem problem, in SocialBias bias)
    {
        int count = 0, runs = 0;
        for (int b = 0; !bias.Keys.IsEmpty && b < problem.Batch; b++)
        {
            Role last = default;
            bool inRun = false;
            for (int i = 0; i < problem.QueryLength; i++)
            {
                bool isSpoken = bias.TryGetSpokenRow(problem, b, i, out TokenRoles roles, out int token);
                if (isSpoken)
                {
                    Role role = Role.Of(roles, b, token);
                    runs += inRun && role == last ? 0 : 1;
                    count++;
                    last = role;
                }
                inRun = isSpoken;
            }
        }
        return (count, runs);
    }

    /// <summary>Takes the plan's arrays from scratch memory.</summary>
    public void Reserve(ref ScratchCursor scratch, in AttentionProblem problem, in SocialBias bias, int spoken, int runs) =>
        Reserve(ref scratch, ref scratch, problem, bias, spoken, runs);

    /// <summary>Takes the plan's arrays from two places: what any engine reads, and what only the lanes of a processor need.</summary>
    public void Reserve(ref ScratchCursor scratch, ref ScratchCursor lanes, in AttentionProblem problem, in SocialBias bias, int spoken, int runs)
    {
        Tiles = (problem.KeyLength + BlockMemory.TileKeys - 1) / BlockMemory.TileKeys;
        nuint tiles = (nuint)problem.Batch * (nuint)Tiles, rows = (nuint)problem.Batch * (nuint)problem.QueryLength;
        Boxed = (ulong*)scratch.Take(tiles * sizeof(ulong));
        SpokenIndex = (int*)scratch.Take(rows * sizeof(int));
        SpokenRow = (int*)scratch.Take((nuint)spoken * sizeof(int));
        Run = (int*)scratch.Take((nuint)spoken * sizeof(int));
        Aligned = (ulong*)scratch.Take(checked((nuint)runs * (nuint)Tiles * sizeof(ulong)));
        AlignedKeys = (int*)scratch.Take((nuint)runs * sizeof(int));
        SpokenStart = (int*)scratch.Take((nuint)(problem.Batch + 1) * sizeof(int));
        BoxedCount = (int*)scratch.Take((nuint)problem.Batch * sizeof(int));
        SharedSpeakers = (long*)lanes.Take((nuint)runs * sizeof(long));
        SpeakerPairs = (long*)lanes.Take((nuint)problem.Batch * (nuint)bias.SpeakerCount * sizeof(long));
        BoxedWeight = (float*)lanes.Take(tiles * BlockMemory.TileKeys * sizeof(float));
        BoxedPenalty = (float*)lanes.Take(tiles * BlockMemory.TileKeys * sizeof(float));
        Order = (int*)lanes.Take(rows * sizeof(int));
        Slot = (int*)lanes.Take((nuint)spoken * sizeof(int));
    }

    /// <summary>Fills the arrays.</summary>
    public readonly void Fill(in AttentionProblem problem, in SocialBias bias)
    {
        int spoken = 0, runs = 0, vectors = 0;
        long* pairs = stackalloc long[MaxSpeakers];
        NativeMemory.Clear(SpeakerPairs, (nuint)problem.Batch * (nuint)bias.SpeakerCount * sizeof(long));
        for (int b = 0; b < problem.Batch; b++)
        {
            FillBoxed(problem, bias, b);
            SpokenStart[b] = spoken;
            Role last = default;
            bool inRun = false;
            for (int i = 0; i < problem.QueryLength; i++)
            {
                bool isSpoken = bias.TryGetSpokenRow(problem, b, i, out TokenRoles roles, out int token);
                SpokenIndex[((long)b * problem.QueryLength) + i] = isSpoken ? spoken : -1;
                if (isSpoken)
                {
                    Role role = Role.Of(roles, b, token);
                    if (!inRun || role != last)
                    {
                        FillAligned(bias, b, role, runs, pairs);
                        runs++;
                    }
                    for (int n = 0; n < bias.SpeakerCount; n++)
                    {
                        SpeakerPairs[((long)b * bias.SpeakerCount) + n] += pairs[n];
                    }
                    last = role;
                    (SpokenRow[spoken], Run[spoken]) = (i, runs - 1);
                    spoken++;
                }
                inRun = isSpoken;
            }
            OrderRows(problem.QueryLength, b, ref vectors);
        }
        SpokenStart[problem.Batch] = spoken;
    }

    private readonly void FillBoxed(in AttentionProblem problem, in SocialBias bias, int b)
    {
        long first = (long)b * Tiles;
        float* weight = BoxedWeight + (first * BlockMemory.TileKeys), penalty = BoxedPenalty + (first * BlockMemory.TileKeys);
        NativeMemory.Clear(Boxed + first, (nuint)Tiles * sizeof(ulong));
        BoxedCount[b] = 0;
        for (int j = 0; j < Tiles * BlockMemory.TileKeys; j++)
        {
            bool boxed = j < problem.KeysOf(b) && bias.Keys.IsBoxedVisual(b, j);
            (weight[j], penalty[j]) = boxed ? (1, 0) : (0, float.NegativeInfinity);
            if (boxed)
            {
                Boxed[first + (j / BlockMemory.TileKeys)] |= 1ul << (j % BlockMemory.TileKeys);
                BoxedCount[b]++;
            }
        }
    }

    /// <summary>The keys that a run's rows are aligned with, the speakers they share, and into <paramref name="pairs"/> how many keys each of these has.</summary>
    private readonly void FillAligned(in SocialBias bias, int b, Role row, int run, long* pairs)
    {
        int count = 0;
        ulong all = 0;
        new Span<long>(pairs, MaxSpeakers).Clear();
        ulong* boxed = Boxed + ((long)b * Tiles), aligned = Aligned + ((long)run * Tiles);
        for (int tile = 0; tile < Tiles; tile++)
        {
            ulong keys = 0;
            for (ulong set = boxed[tile]; set != 0; set &= set - 1)
            {
                int n = BitOperations.TrailingZeroCount(set);
                ulong shared = (ulong)row.SharedSpeakers(Role.Of(bias.Keys, b, (tile * BlockMemory.TileKeys) + n));
                keys |= shared != 0 ? 1ul << n : 0;
                all |= shared;
                for (; bias.SpeakerCount > 0 && shared != 0; shared &= shared - 1)
                {
                    pairs[BitOperations.TrailingZeroCount(shared)]++;
                }
            }
            aligned[tile] = keys;
            count += BitOperations.PopCount(keys);
        }
        (AlignedKeys[run], SharedSpeakers[run]) = (count, (long)all);
    }

    /// <summary>Fills <see cref="Order"/> and <see cref="Slot"/> of a batch element.</summary>
    private readonly void OrderRows(int length, int b, ref int vectors)
    {
        int* order = Order + ((long)b * length), next = order, index = SpokenIndex + ((long)b * length);
        int* shared = stackalloc int[2 * OrderGroup]; // rows that wait for a vector: of U, of others
        int* waiting = stackalloc int[2];
        (waiting[0], waiting[1]) = (0, 0);
        for (int start = 0, end; start < length; start = end)
        {
            int run = RunOf(index[start]), kind = run < 0 ? 1 : 0;
            for (end = start + 1; end < length && RunOf(index[end]) == run; end++)
            {
            }
            int i = start;
            for (; end - i >= OrderGroup; i += OrderGroup)
            {
                for (int n = 0; n < OrderGroup; n++)
                {
                    *next++ = i + n;
                }
            }
            for (; i < end; i++)
            {
                shared[(kind * OrderGroup) + waiting[kind]++] = i;
                if (waiting[kind] == OrderGroup)
                {
                    Take(kind);
                }
            }
        }
        Take(0);
        Take(1);

        int last = -1;
        for (int i = 0; i < length; i++)
        {
            int u = index[order[i]];
            if (u >= 0)
            {
                vectors += i / OrderGroup == last ? 0 : 1;
                last = i / OrderGroup;
                Slot[u] = ((vectors - 1) * OrderGroup) + (i % OrderGroup);
            }
        }

        void Take(int kind)
        {
            for (int n = 0; n < waiting[kind]; n++)
            {
                *next++ = shared[(kind * OrderGroup) + n];
            }
            waiting[kind] = 0;
        }
    }

    /// <summary>Vectors that hold the rows of U, at most: full ones, and in each batch element one that is not.</summary>
    public static int Vectors(int spoken, int batch) => (spoken / OrderGroup) + batch;

    /// <summary>Whether the bit of <paramref name="key"/> is set.</summary>
    public static bool Has(ulong* keys, int key) => ((keys[key / BlockMemory.TileKeys] >> (key % BlockMemory.TileKeys)) & 1) != 0;

    private readonly int RunOf(int spoken) => spoken < 0 ? -1 : Run[spoken];
}
