namespace AttentionKernels.Bench.Device;

/// <summary>The PyTorch that was compared with.</summary>
/// <param name="Version">Its version; null: there was none.</param>
/// <param name="Cuda">The CUDA that it was built with.</param>
/// <param name="Cudnn">Its cuDNN; null: none.</param>
/// <param name="Python">Python's version.</param>
/// <param name="Device">What it calls the device.</param>
/// <param name="Missing">Why there was none; null: there was.</param>
internal sealed record TorchDescription(string? Version, string? Cuda, string? Cudnn, string? Python, string? Device, string? Missing)
{
    /// <summary>None was there, and why.</summary>
    public static TorchDescription None(string why) => new(null, null, null, null, null, why);
}
