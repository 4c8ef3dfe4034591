using System.Numerics;
using System.Runtime.InteropServices;

namespace AttentionKernels.Cpu;

/// <summary>
/// What the roles of a call mean for its rows and keys, worked out once before the pass: U, V_all, and how many keys each row of U
/// is aligned with. O(S + T) memory; O(|V_all|) time for each run of rows with the same role.
/// </summary>
internal unsafe struct RolePlan
{
    /// <summary>Bits of a speaker mask that can be set.</summary>
    private const int MaxSpeakers = 63;

    /// <summary>[B, T] whether the key is in V_all.</summary>
    public byte* Boxed;

    /// <summary>[B, S] index of the row in U, counted over the whole batch; -1 when it is not in U.</summary>
    public int* SpokenIndex;

    /// <summary>[|U|] query row.</summary>
    public int* SpokenRow;

    /// <summary>[|U|] keys of V_all that the row is aligned with, masked or not; U over the whole batch.</summary>
    public int* AlignedKeys;

    /// <summary>[|U|] speakers that the row shares with any key of V_all while their frame spans overlap.</summary>
    public long* SharedSpeakers;

    /// <summary>[B + 1] start of each batch element's rows in U.</summary>
    public int* SpokenStart;

    /// <summary>[B] |V_all|.</summary>
    public int* BoxedCount;

    /// <summary>[B, SpeakerCount] pairs (u in U, v in V_all) that share the speaker and overlap in time.</summary>
    public long* SpeakerPairs;

    /// <summary>Rows of U over the whole batch.</summary>
    public static int CountSpoken(in AttentionProblem problem, in SocialBias bias)
    {
        int count = 0;
        for (int b = 0; !bias.Keys.IsEmpty && b < problem.Batch; b++)
        {
            for (int i = 0; i < problem.QueryLength; i++)
            {
                count += bias.TryGetSpokenRow(problem, b, i, out _, out _) ? 1 : 0;
            }
        }
        return count;
    }

    /// <summary>Takes the plan's arrays from scratch memory.</summary>
    public void Reserve(ref ScratchCursor scratch, in AttentionProblem problem, in SocialBias bias, int spoken)
    {
        Boxed = (byte*)scratch.Take((nuint)problem.Batch * (nuint)problem.KeyLength);
        SpokenIndex = (int*)scratch.Take((nuint)problem.Batch * (nuint)problem.QueryLength * sizeof(int));
        SpokenRow = (int*)scratch.Take((nuint)spoken * sizeof(int));
        AlignedKeys = (int*)scratch.Take((nuint)spoken * sizeof(int));
        SharedSpeakers = (long*)scratch.Take((nuint)spoken * sizeof(long));
        SpokenStart = (int*)scratch.Take((nuint)(problem.Batch + 1) * sizeof(int));
        BoxedCount = (int*)scratch.Take((nuint)problem.Batch * sizeof(int));
        SpeakerPairs = (long*)scratch.Take((nuint)problem.Batch * (nuint)bias.SpeakerCount * sizeof(long));
    }

    /// <summary>Fills the arrays.</summary>
    public readonly void Fill(in AttentionProblem problem, in SocialBias bias)
    {
        int spoken = 0;
        long* pairs = stackalloc long[MaxSpeakers];
        NativeMemory.Clear(SpeakerPairs, (nuint)problem.Batch * (nuint)bias.SpeakerCount * sizeof(long));
        for (int b = 0; b < problem.Batch; b++)
        {
            byte* boxed = Boxed + ((long)b * problem.KeyLength);
            BoxedCount[b] = 0;
            for (int j = 0; j < problem.KeyLength; j++)
            {
                boxed[j] = j < problem.KeysOf(b) && bias.Keys.IsBoxedVisual(b, j) ? (byte)1 : (byte)0;
                BoxedCount[b] += boxed[j];
            }

            SpokenStart[b] = spoken;
            Role last = default;
            for (int i = 0; i < problem.QueryLength; i++)
            {
                bool isSpoken = bias.TryGetSpokenRow(problem, b, i, out TokenRoles roles, out int token);
                SpokenIndex[((long)b * problem.QueryLength) + i] = isSpoken ? spoken : -1;
                if (!isSpoken)
                {
                    continue;
                }
                Role role = Role.Of(roles, b, token);
                // Tokens of one utterance share a role: count once for each run of equal rows.
                bool sameRole = role == last && spoken > SpokenStart[b];
                if (sameRole)
                {
                    (AlignedKeys[spoken], SharedSpeakers[spoken]) = (AlignedKeys[spoken - 1], SharedSpeakers[spoken - 1]);
                }
                else
                {
                    (AlignedKeys[spoken], SharedSpeakers[spoken]) = CountAligned(problem, bias, b, role, pairs);
                }
                for (int n = 0; n < bias.SpeakerCount; n++)
                {
                    SpeakerPairs[((long)b * bias.SpeakerCount) + n] += pairs[n];
                }
                last = role;
                SpokenRow[spoken] = i;
                spoken++;
            }
        }
        SpokenStart[problem.Batch] = spoken;
    }

    /// <summary>Keys that a row of this role is aligned with, the speakers they share, and into <paramref name="pairs"/> how many keys each of these has.</summary>
    private readonly (int Keys, long Speakers) CountAligned(in AttentionProblem problem, in SocialBias bias, int b, Role row, long* pairs)
    {
        int count = 0;
        ulong all = 0;
        new Span<long>(pairs, MaxSpeakers).Clear();
        byte* boxed = Boxed + ((long)b * problem.KeyLength);
        for (int j = 0; j < problem.KeyLength; j++)
        {
            ulong shared = boxed[j] == 0 ? 0 : (ulong)row.SharedSpeakers(Role.Of(bias.Keys, b, j));
            count += shared != 0 ? 1 : 0;
            all |= shared;
            for (; bias.SpeakerCount > 0 && shared != 0; shared &= shared - 1)
            {
                pairs[BitOperations.TrailingZeroCount(shared)]++;
            }
        }
        return (count, (long)all);
    }
}
