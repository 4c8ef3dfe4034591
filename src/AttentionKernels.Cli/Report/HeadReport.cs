namespace AttentionKernels.Cli.Report;

/// <summary>A head.</summary>
/// <param name="Head">The head, from 0.</param>
/// <param name="Score">Its score in the steered model, which decided whether it is active (in the measured model when nothing is steered).</param>
/// <param name="MeasuredScore">Its score in the measured model, whose lower layers are not steered either.</param>
/// <param name="Active">Whether the score is above lambda.</param>
/// <param name="Alignment">Probability on aligned keys.</param>
internal sealed record HeadReport(int Head, float Score, float MeasuredScore, bool Active, AlignmentReport Alignment);
