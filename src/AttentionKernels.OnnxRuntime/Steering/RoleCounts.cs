using AttentionKernels.Cpu;

namespace AttentionKernels.OnnxRuntime.Steering;

/// <summary>How many rows and keys of each kind one call has in a batch element: the weights by which chunks of a prompt add up.</summary>
/// <param name="Spoken">|U|.</param>
/// <param name="Boxed">|V_all|.</param>
/// <param name="AlignedRows">Rows of U with an aligned key, masked or not.</param>
internal readonly record struct RoleCounts(int Spoken, int Boxed, int AlignedRows)
{
    /// <summary>Counts batch element <paramref name="b"/>. Without rows of U, as in a decode step, keys are not looked at.</summary>
    public static RoleCounts Of(in AttentionProblem problem, in SocialBias bias, int b)
    {
        List<Role> rows = [];
        for (int i = 0; i < problem.QueryLength; i++)
        {
            if (bias.TryGetSpokenRow(problem, b, i, out TokenRoles roles, out int token))
            {
                rows.Add(Role.Of(roles, b, token));
            }
        }
        if (rows.Count == 0)
        {
            return default;
        }
        List<Role> boxed = [];
        for (int t = 0; t < problem.KeysOf(b); t++)
        {
            if (bias.Keys.IsBoxedVisual(b, t))
            {
                boxed.Add(Role.Of(bias.Keys, b, t));
            }
        }
        // Tokens of one utterance share a role.
        return new RoleCounts(rows.Count, boxed.Count, rows.GroupBy(row => row).Where(role => boxed.Exists(key => role.Key.SharedSpeakers(key) != 0)).Sum(role => role.Count()));
    }
}
