namespace AttentionKernels.Bench.Device;

/// <summary>How often a case is measured.</summary>
/// <param name="Least">Rounds at least.</param>
/// <param name="Most">Rounds at most.</param>
/// <param name="Time">No further round of a case starts after this.</param>
/// <param name="SampleMilliseconds">A sample is as many calls as fill this.</param>
/// <param name="HostCalls">Calls to measure the host's time with.</param>
/// <param name="TraceCalls">Calls whose operations are timed one by one.</param>
internal readonly record struct DeviceBudget(int Least, int Most, TimeSpan Time, double SampleMilliseconds, int HostCalls, int TraceCalls)
{
    /// <summary>For results to keep.</summary>
    public static DeviceBudget Full { get; } = new(7, 25, TimeSpan.FromSeconds(4), 10, 64, 9);

    /// <summary>For a look.</summary>
    public static DeviceBudget Quick { get; } = new(5, 15, TimeSpan.FromSeconds(2), 10, 32, 5);
}
