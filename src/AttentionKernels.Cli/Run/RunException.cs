namespace AttentionKernels.Cli.Run;

/// <summary>A run cannot be done. The message is one sentence for the user.</summary>
internal sealed class RunException(string message, Exception? cause = null) : Exception(message, cause);
