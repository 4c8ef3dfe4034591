using AttentionKernels.Bench.Compare;

namespace AttentionKernels.Bench.Device;

/// <summary>What to measure on a device.</summary>
/// <param name="Ordinal">Number of the device among the visible ones.</param>
/// <param name="Quick">A few cases instead of all.</param>
/// <param name="Filter">Only cases whose name contains one of these, separated by commas; null: all.</param>
/// <param name="Torch">Whether PyTorch is compared with, if there is one.</param>
/// <param name="Python">A Python that has PyTorch; null: python3 of the PATH.</param>
internal sealed record DeviceRequest(int Ordinal = 0, bool Quick = false, string? Filter = null, bool Torch = true, string? Python = null)
{
    /// <summary>The cases.</summary>
    /// <exception cref="BenchException">The filter leaves none.</exception>
    public IReadOnlyList<DeviceCase> ChooseCases()
    {
        IReadOnlyList<DeviceCase> all = Quick ? DeviceCase.Quick : DeviceCase.Full;
        DeviceCase[] chosen = [.. all.Where(c => Filter == null || Filter.Split(',').Any(part => c.ToString().Contains(part, StringComparison.OrdinalIgnoreCase)))];
        return chosen.Length > 0 ? chosen : throw new BenchException($"no case contains '{Filter}'; the cases are: {string.Join(", ", all)}.");
    }
}
