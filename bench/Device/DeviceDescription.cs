namespace AttentionKernels.Bench.Device;

/// <summary>A device that was measured on.</summary>
/// <param name="Ordinal">Number among the visible ones.</param>
/// <param name="Name">Its name.</param>
/// <param name="Capability">Compute capability, as "9.0".</param>
/// <param name="Multiprocessors">How many.</param>
/// <param name="MemoryBytes">Device memory.</param>
/// <param name="L2Bytes">Second-level cache.</param>
/// <param name="Driver">The newest CUDA that the driver knows.</param>
/// <param name="CopyGigaBytes">1e9 bytes per second, read and written ones added, of a large copy within device memory in this run.</param>
/// <param name="DataSheetGigaBytes">1e9 bytes per second by the memory's clock and width; null: the driver does not tell.</param>
internal sealed record DeviceDescription(
    int Ordinal, string Name, string Capability, int Multiprocessors, ulong MemoryBytes, int L2Bytes, string Driver, double CopyGigaBytes, double? DataSheetGigaBytes)
{
    /// <summary>1e9 bytes per second, by the device's data sheet where the driver tells it, else as a copy showed.</summary>
    public double Bandwidth => DataSheetGigaBytes ?? CopyGigaBytes;

    /// <summary>1e9 bytes per second of memory that transfers twice a clock.</summary>
    /// <param name="clock">kHz; 0: unknown.</param>
    /// <param name="bus">Bits; 0: unknown.</param>
    public static double? DataSheetOf(int clock, int bus) => clock > 0 && bus > 0 ? 2.0 * clock * bus / 8 / 1e6 : null;
}
