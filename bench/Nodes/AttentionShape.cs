using System.Globalization;

namespace AttentionKernels.Bench.Nodes;

/// <summary>Heads of an attention layer.</summary>
/// <param name="Heads">Query heads.</param>
/// <param name="KvHeads">Key and value heads, a divisor of <paramref name="Heads"/>.</param>
/// <param name="HeadSize">Size of each head.</param>
internal readonly record struct AttentionShape(int Heads, int KvHeads, int HeadSize)
{
    /// <summary>Reads what <see cref="ToString"/> writes.</summary>
    public static AttentionShape Parse(string text)
    {
        int[] numbers = [.. text.Split(':', 'x').Select(part => int.Parse(part, CultureInfo.InvariantCulture))];
        return new AttentionShape(numbers[0], numbers[1], numbers[2]);
    }

    /// <summary>As "28:4x128".</summary>
    public override string ToString() => $"{Heads}:{KvHeads}x{HeadSize}";
}
