using AttentionKernels.Cli.Run;

namespace AttentionKernels.Cli.Report;

/// <summary>Whether the rewritten model computes what the built-in one does, and what steering changed.</summary>
/// <param name="Passed">Whether the difference of the rewritten, unsteered model is within <paramref name="Allowed"/>.</param>
/// <param name="Rewriting">Logits of the measured model against the built-in one.</param>
/// <param name="OneStep">
/// How far the built-in model's own logits move, at most, when every embedding moves to the next number of its type: what rounding does to this model.
/// </param>
/// <param name="Allowed">Largest difference that counts as rounding.</param>
/// <param name="Steering">Logits of the steered model against the built-in one; null with policy none.</param>
/// <param name="Logits">Size of the built-in model's logits.</param>
internal sealed record CheckReport(
    bool Passed, LogitDifference Rewriting, double OneStep, double Allowed, LogitDifference? Steering, LogitDifference Logits);
