namespace AttentionKernels.GpuCheck;

/// <summary>What the process returns.</summary>
internal static class ExitCode
{
    /// <summary>Everything that could run passed.</summary>
    public const int Success = 0;

    /// <summary>Something ran and failed, or could not be started.</summary>
    public const int Failure = 1;

    /// <summary>The command line was not understood.</summary>
    public const int Usage = 2;

    /// <summary>There is no CUDA driver, or no device that is new enough: nothing ran.</summary>
    public const int NoDevice = 3;

    /// <summary>Ctrl-C: 128 + SIGINT, as shells have it.</summary>
    public const int Cancelled = 130;
}
