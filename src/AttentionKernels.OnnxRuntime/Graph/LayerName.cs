using System.Globalization;
using System.Text.RegularExpressions;

namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>Layer numbers in the names of nodes, as exporters write them: <c>/model/layers.12/attn/GroupQueryAttention</c>.</summary>
internal static partial class LayerName
{
    /// <summary>The number after "layers" or "blocks", or null.</summary>
    public static int? Find(string node)
    {
        Match match = Pattern().Match(node);
        return match.Success && int.TryParse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture, out int layer) ? layer : null;
    }

    [GeneratedRegex(@"(?:^|[./_])(?:layers|blocks)[./]([0-9]{1,6})(?:[./]|$)")]
    private static partial Regex Pattern();
}
