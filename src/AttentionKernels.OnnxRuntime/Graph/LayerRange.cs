using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>
/// A set of decoder layers, counted from 0 and written as <c>10-19</c> (both ends included), <c>3,5,10-19</c> or <c>all</c>. The
/// default value is all layers.
/// </summary>
public readonly struct LayerRange : IEquatable<LayerRange>
{
    private const string Everything = "all";

    // Disjoint, ascending, not adjacent: equal sets have equal spans. Default: all layers.
    private readonly ImmutableArray<(int First, int Last)> _spans;

    private LayerRange(ImmutableArray<(int First, int Last)> spans) => _spans = spans;

    /// <summary>Every layer.</summary>
    public static LayerRange All => default;

    /// <summary>Whether the set is every layer, however many there are.</summary>
    public bool IsAll => _spans.IsDefault;

    /// <summary>Equality of the sets.</summary>
    public static bool operator ==(LayerRange left, LayerRange right) => left.Equals(right);

    /// <summary>Inequality of the sets.</summary>
    public static bool operator !=(LayerRange left, LayerRange right) => !left.Equals(right);

    /// <summary>Reads a set of layers.</summary>
    /// <param name="text">Numbers and spans in any order, separated by commas, or <c>all</c>. Blanks around them do not matter.</param>
    /// <exception cref="FormatException">Names <paramref name="text"/> and the part that is wrong.</exception>
    public static LayerRange Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return TryParse(text, out LayerRange layers, out string? fault) ? layers : throw new FormatException(fault);
    }

    /// <summary>Reads a set of layers of a model that has <paramref name="count"/> layers.</summary>
    /// <param name="text">Numbers and spans in any order, separated by commas, or <c>all</c>.</param>
    /// <param name="count">Layers of the model.</param>
    /// <exception cref="FormatException">Names <paramref name="text"/>, the part that is wrong, and the number of layers if it is that.</exception>
    public static LayerRange Parse(string text, int count)
    {
        LayerRange layers = Parse(text);
        return layers.FindFault(count) is string fault ? throw new FormatException(fault) : layers;
    }

    /// <summary>Reads a set of layers.</summary>
    /// <param name="text">Numbers and spans in any order, separated by commas, or <c>all</c>.</param>
    /// <param name="layers">The set, if there is one.</param>
    /// <param name="fault">A sentence that names <paramref name="text"/> and the part that is wrong, if there is no set.</param>
    public static bool TryParse([NotNullWhen(true)] string? text, out LayerRange layers, [NotNullWhen(false)] out string? fault)
    {
        layers = default;
        fault = null;
        if (text?.Trim() == Everything)
        {
            return true;
        }
        List<(int First, int Last)> spans = [];
        foreach (string part in (text ?? "").Split(','))
        {
            string[] ends = part.Split('-');
            if (ends.Length > 2 || !TryParseLayer(ends[0], out int first) || !TryParseLayer(ends[^1], out int last))
            {
                fault = $"Layers '{text}': '{part.Trim()}' is neither a layer like 12 nor a span like 10-19 (layers count from 0; 'all' is every layer).";
                return false;
            }
            if (last < first)
            {
                fault = $"Layers '{text}': the span '{part.Trim()}' ends before it starts.";
                return false;
            }
            spans.Add((first, last));
        }
        layers = new LayerRange(Merge(spans));
        return true;
    }

    /// <summary>Whether <paramref name="layer"/> is in the set.</summary>
    public bool Contains(int layer)
    {
        if (IsAll)
        {
            return true;
        }
        foreach ((int first, int last) in _spans)
        {
            if (layer >= first && layer <= last)
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>Checks that a model of <paramref name="count"/> layers has every layer of the set.</summary>
    /// <returns>A sentence that names the set and the number of layers, or null.</returns>
    public string? FindFault(int count)
    {
        if (IsAll || _spans[^1].Last < count)
        {
            return null;
        }
        return count > 0
            ? $"Layers '{this}': there is no layer {_spans[^1].Last}, the model has {count} (0-{count - 1})."
            : $"Layers '{this}': the model has no layers.";
    }

    /// <summary>Whether both are the same set.</summary>
    public bool Equals(LayerRange other) =>
        IsAll || other.IsAll ? IsAll == other.IsAll : _spans.AsSpan().SequenceEqual(other._spans.AsSpan());

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is LayerRange other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => ToString().GetHashCode(StringComparison.Ordinal);

    /// <summary>The set in its shortest form, ascending, as <see cref="Parse(string)"/> reads it.</summary>
    public override string ToString() =>
        IsAll ? Everything : string.Join(',', _spans.Select(s => s.First == s.Last ? $"{s.First}" : $"{s.First}-{s.Last}"));

    private static bool TryParseLayer(string text, out int layer) =>
        int.TryParse(text, NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out layer);

    private static ImmutableArray<(int First, int Last)> Merge(List<(int First, int Last)> spans)
    {
        spans.Sort();
        List<(int First, int Last)> merged = [];
        foreach ((int first, int last) in spans)
        {
            // The long keeps a span that ends at the largest int from wrapping round.
            if (merged.Count > 0 && first <= merged[^1].Last + 1L)
            {
                merged[^1] = (merged[^1].First, Math.Max(last, merged[^1].Last));
            }
            else
            {
                merged.Add((first, last));
            }
        }
        return [.. merged];
    }
}
