namespace AttentionKernels.Cli.Doctor;

/// <summary>Something that was looked at.</summary>
/// <param name="Subject">What.</param>
/// <param name="Verdict">How it is.</param>
/// <param name="Text">What was found.</param>
/// <param name="Remedy">What to do about it, or null.</param>
internal sealed record Finding(string Subject, Verdict Verdict, string Text, string? Remedy = null);
