namespace AttentionKernels;

/// <summary>
/// The social-aware bias of "Multi-speaker Attention Alignment" (arXiv 2511.17952): which tokens speak, which are seen, and how
/// strongly a speaker's words are drawn to that speaker's box.
/// </summary>
/// <remarks>
/// With U = query rows that are text with a speaker and V_all = keys that are visual, boxed and within the length:
/// <code>
/// score_h  = 1 / (|U| |V_all|) * sum_{u in U} sum_{v in V_all} softmax_uv        unbiased; head active iff score_h > Lambda
/// b_u      = Alpha * max_{v in V_all, visible} s_uv                              max(0, .) of the maximum if ClampNegative
/// s_uv    += b_u   where u in U and v in V_all share a speaker and their frame spans overlap, in active heads
/// </code>
/// No visible key of V_all: b_u = 0. U or V_all empty: score 0, nothing active. |V_all| counts keys that a mask hides, too.
/// Rows at positions outside [0, key length) are not in U unless separate query roles are given.
/// </remarks>
public unsafe struct SocialBias
{
    /// <summary>Roles of the keys, Length = T.</summary>
    public TokenRoles Keys;

    /// <summary>Roles of the query rows, Length = S, for attention between two sequences; empty: row i has the role of the key at its position.</summary>
    public TokenRoles Queries;

    /// <summary>Strength; 1 is the paper's. Finite.</summary>
    public float Alpha;

    /// <summary>Score above which a head is active; 5e-5 is the paper's. Not NaN; +inf: no head is.</summary>
    public float Lambda;

    /// <summary>Use max(0, m) instead of m: never push attention away from the speaker. Off is the paper's formula.</summary>
    public bool ClampNegative;

    /// <summary>[B, H] scores that decide which heads are active instead of this call's own (chunked prefill); null: this call's.</summary>
    public float* HeadScoresIn;

    /// <summary>[B, H] receives each head's score of this call; null: not wanted.</summary>
    public float* HeadScores;

    /// <summary>
    /// [B, H, 4] receives (mean before, mean after, max before, max after) of the probability on aligned keys, averaged over the rows
    /// of U that have an aligned key; 0 where no row has one; null: not wanted.
    /// </summary>
    public float* Alignment;

    /// <summary>
    /// [B, H, SpeakerCount] receives, for each speaker n, the mean unbiased probability over the pairs (u in U, v in V_all) that
    /// share speaker n and overlap in time; 0 without such a pair; null: not wanted.
    /// </summary>
    public float* SpeakerScores;

    /// <summary>Speakers in <see cref="SpeakerScores"/>, 1..63.</summary>
    public int SpeakerCount;

    /// <summary>Whether nothing can be active, known before any score: the output is plain attention, bit for bit.</summary>
    internal readonly bool IsInert => Keys.IsEmpty || Alpha == 0 || float.IsPositiveInfinity(Lambda);

    /// <summary>Roles that say which rows are in U: <see cref="Queries"/>, or the keys' roles at the rows' positions.</summary>
    /// <returns>Whether row <paramref name="i"/> of batch element <paramref name="b"/> is in U, and where its role lies.</returns>
    internal readonly bool TryGetSpokenRow(in AttentionProblem problem, int b, int i, out TokenRoles roles, out int token)
    {
        if (!Queries.IsEmpty)
        {
            (roles, token) = (Queries, i);
        }
        else
        {
            (roles, token) = (Keys, problem.OffsetOf(b) + i);
            if (token < 0 || token >= problem.KeysOf(b))
            {
                return false;
            }
        }
        return roles.IsSpokenText(b, token);
    }
}
