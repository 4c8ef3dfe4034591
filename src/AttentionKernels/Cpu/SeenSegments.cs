using System.Numerics;

namespace AttentionKernels.Cpu;

/// <summary>
/// Takes a trimmed tile apart: parts of its keys, and for each the groups of lanes side by side that compute it. A triangle becomes strips of four, three, two groups and one,
/// which run at the speed of wider products.
/// </summary>
/// <param name="seen">[groups] bit for each key that the group computes.</param>
/// <param name="groups">Groups of lanes.</param>
/// <param name="keys">Keys of the tile.</param>
internal unsafe ref struct SeenSegments(ulong* seen, int groups, int keys)
{
    /// <summary>First key.</summary>
    public int First { get; private set; }

    /// <summary>Keys.</summary>
    public readonly int Keys => _end - First;

    /// <summary>First group.</summary>
    public int Group { get; private set; }

    /// <summary>Groups.</summary>
    public int Groups { get; private set; }

    private int _end;

    /// <summary>Goes to the next one.</summary>
    /// <returns>Whether there is one.</returns>
    public bool Next()
    {
        Group += Groups;
        for (Groups = 0; ; Group = 0)
        {
            for (; Group < groups && Groups == 0 && _end > First; Group += Groups == 0 ? 1 : 0)
            {
                while (Group + Groups < groups && ((seen[Group + Groups] >> First) & 1) != 0)
                {
                    Groups++;
                }
            }
            if (Groups > 0 || _end == keys)
            {
                return Groups > 0;
            }
            First = _end;
            _end = keys;
            for (int group = 0; group < groups; group++)
            {
                ulong changes = (seen[group] ^ (seen[group] >> 1)) >> First;
                _end = Math.Min(_end, First + BitOperations.TrailingZeroCount(changes) + 1);
            }
        }
    }
}
