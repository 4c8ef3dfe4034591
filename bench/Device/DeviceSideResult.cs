using AttentionKernels.Bench.Compare;

namespace AttentionKernels.Bench.Device;

/// <summary>What was found of one side of a case. Numbers of a side that was not measured are null.</summary>
/// <param name="Side">Its name.</param>
/// <param name="Status">What became of it.</param>
/// <param name="Reason">Why it was not measured; null: it was.</param>
/// <param name="Backend">What computed; null: what the name says.</param>
/// <param name="Error">Largest error of the sampled results, relative to the largest of them.</param>
/// <param name="Milliseconds">Of one call on the device: median over rounds, and between which values half of the rounds lie.</param>
/// <param name="TeraFlops">1e12 operations of plain attention per second of the median.</param>
/// <param name="GigaBytes">1e9 bytes of keys and values per second of the median; decode steps only.</param>
/// <param name="BandwidthOfCopy">That as a part of what a copy on the device reached.</param>
/// <param name="BandwidthOfDataSheet">That as a part of the data sheet's bandwidth; null: unknown.</param>
/// <param name="HostMicroseconds">What the host needs for one call.</param>
/// <param name="OfFirst">Time as a part of that of the case's first side, round by round.</param>
/// <param name="Calls">Calls of a sample.</param>
/// <param name="Samples">Milliseconds of each round.</param>
/// <param name="Kernels">What each operation takes; null: not looked at.</param>
internal sealed record DeviceSideResult(
    string Side,
    DeviceSideStatus Status,
    string? Reason,
    string? Backend = null,
    double? Error = null,
    Spread? Milliseconds = null,
    double? TeraFlops = null,
    double? GigaBytes = null,
    double? BandwidthOfCopy = null,
    double? BandwidthOfDataSheet = null,
    double? HostMicroseconds = null,
    Spread? OfFirst = null,
    int? Calls = null,
    IReadOnlyList<double>? Samples = null,
    IReadOnlyList<KernelShare>? Kernels = null);
