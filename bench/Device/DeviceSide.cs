namespace AttentionKernels.Bench.Device;

/// <summary>One way to compute a case, that can be checked and timed.</summary>
internal abstract class DeviceSide(string name)
{
    /// <summary>What it is called in results: <see cref="SideNames"/>.</summary>
    public string Name { get; } = name;

    /// <summary>What computed, as far as it is known; null: what the name says.</summary>
    public string? Backend { get; protected set; }

    /// <summary>Microseconds that the host needs to put one call into a stream; null: not measured.</summary>
    public double? HostMicroseconds { get; protected set; }

    /// <summary>Whether it is this library's.</summary>
    public abstract bool IsOwn { get; }

    /// <summary>Makes everything ready, runs it and checks the result.</summary>
    /// <returns>Largest relative error.</returns>
    /// <exception cref="Compare.BenchException">The result is wrong, or this side cannot do it.</exception>
    public abstract double Prepare(CancellationToken cancellation);

    /// <summary>Milliseconds on the device of one call, mean over calls in a row.</summary>
    public abstract double Time(int calls, CancellationToken cancellation);
}
