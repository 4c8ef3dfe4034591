using AttentionKernels.Bench.Compare;

namespace AttentionKernels.Bench.Device;

/// <summary>A number that must be reached, over the cases that it is for.</summary>
/// <param name="Key">Name in the summary line and in JSON.</param>
/// <param name="Title">What the table calls it.</param>
/// <param name="MustReach">What the geometric mean over cases must reach.</param>
/// <param name="Aim">What is aimed for; null: no more.</param>
/// <param name="AtLeast">Whether more is better.</param>
/// <param name="ValueOf">A case's number; null: the bar is not for it, or a side of it was not measured.</param>
internal sealed record DeviceBar(string Key, string Title, double MustReach, double? Aim, bool AtLeast, Func<DeviceCaseResult, double?> ValueOf)
{
    /// <summary>All of them, in the order of the table.</summary>
    public static IReadOnlyList<DeviceBar> All { get; } =
    [
        new("plain", "plain, TFLOP/s (bf16, D = 128, 16k tokens, full)", 300, 400, true, c => c.Problem.IsBarPrompt ? c.Measured(SideNames.Plain)?.TeraFlops : null),
        new("steered", "steered / plain (the same)", 1.05, null, false, c => c.Problem.IsBarPrompt ? Ratio(c, SideNames.Steered, SideNames.Plain) : null),
        new("scores", "torch flash and a second pass / scores alone (the same)", 2, null, true, c => c.Problem.IsBarPrompt ? Ratio(c, SideNames.TorchScores, SideNames.Scores) : null),
        new("decode_8k", "decode at T = 8192, part of the memory's bandwidth", 0.8, null, true, c =>
            c.Problem is { Kind: DeviceCaseKind.Decode, Keys: 8192 } && c.Measured(SideNames.Decode) is DeviceSideResult side ? side.BandwidthOfDataSheet ?? side.BandwidthOfCopy : null),
        new("dense", "torch with a dense mask / steered (S = 8192)", 3, null, true, c => c.Problem.Rows == 8192 ? Ratio(c, SideNames.TorchDense, SideNames.Steered) : null),
    ];

    /// <summary>Whether a number is enough.</summary>
    public bool Reaches(double value, double bar) => AtLeast ? value >= bar : value <= bar;

    private static double? Ratio(DeviceCaseResult c, string numerator, string denominator) =>
        c.Measured(numerator)?.Samples is { } above && c.Measured(denominator)?.Samples is { } below ? Spread.OfRatio(above, below).Median : null;
}
