namespace AttentionKernels.Cli.Report;

/// <summary>
/// Attention from a speaker's words to the visual tokens in that speaker's boxes at that time: mean and largest probability of a word's aligned keys,
/// averaged over the words that have any, before and after the bias of this layer.
/// </summary>
internal sealed record AlignmentReport(double MeanBefore, double MeanAfter, double MaxBefore, double MaxAfter);
