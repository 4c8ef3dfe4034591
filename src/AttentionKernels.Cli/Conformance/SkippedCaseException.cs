namespace AttentionKernels.Cli.Conformance;

/// <summary>A case needs something that the runner does not do. The message says what.</summary>
internal sealed class SkippedCaseException(string message) : Exception(message);
