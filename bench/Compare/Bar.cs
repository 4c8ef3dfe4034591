namespace AttentionKernels.Bench.Compare;

/// <summary>One comparison of the table.</summary>
/// <param name="Key">Name in the summary line and in JSON.</param>
/// <param name="Title">What the table calls it.</param>
/// <param name="Numerator">Ours.</param>
/// <param name="Denominator">What it is compared with.</param>
/// <param name="MustReach">Largest geometric mean of the time ratios that is acceptable.</param>
/// <param name="Aim">What is aimed for; null: not a ratio.</param>
internal sealed record Bar(string Key, string Title, Side Numerator, Side Denominator, double MustReach, double? Aim)
{
    /// <summary>All of them, in the order of the summary line.</summary>
    public static IReadOnlyList<Bar> All { get; } =
    [
        new("plain", "ours plain / ORT plain (prefill)", Side.OwnPlain, Side.BuiltInPlain, 0.90, 0.75),
        new("steered_vs_plain_ort", "ours steered, head scores out / ORT plain", Side.OwnSteered, Side.BuiltInPlain, 1.00, 0.80),
        new("steered_vs_bias", "ours steered / ORT with dense attention_bias", Side.OwnSteered, Side.BuiltInBias, 0.70, 0.55),
        new("scores_vs_qk", "ours with scores / ORT with qk output plus the reduction", Side.OwnScores, Side.BuiltInScores, 0.33, 0.20),
        new("overhead", "ours steered / ours plain", Side.OwnSteered, Side.OwnPlain, 1.05, 1.02),
        new("decode", "ours decode (Sq = 1) / ORT GroupQueryAttention decode", Side.OwnDecode, Side.BuiltInDecode, 1.00, null),
    ];
}
