namespace AttentionKernels.Cpu;

/// <summary>Who a token belongs to and when.</summary>
/// <param name="Speakers">Bit mask.</param>
/// <param name="First">First frame.</param>
/// <param name="End">End frame, exclusive.</param>
internal readonly record struct Role(long Speakers, int First, int End)
{
    /// <summary>The role of token <paramref name="t"/> of batch element <paramref name="b"/>.</summary>
    public static unsafe Role Of(in TokenRoles roles, int b, int t)
    {
        long i = ((long)b * roles.Length) + t;
        return new Role(roles.Speakers[i], roles.Frames[2 * i], roles.Frames[(2 * i) + 1]);
    }

    /// <summary>The speakers that both tokens have, if their frame spans overlap; else 0.</summary>
    public long SharedSpeakers(Role other) =>
        Math.Max(First, other.First) < Math.Min(End, other.End) ? Speakers & other.Speakers : 0;
}
