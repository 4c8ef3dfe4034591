namespace AttentionKernels.GpuCheck;

/// <summary>What is asked for.</summary>
/// <param name="Json">File for the numbers.</param>
/// <param name="Quick">Fewer random cases, one tool of the sanitizer, and a few cases of the benchmark.</param>
/// <param name="Device">Number of the device among the visible ones.</param>
/// <param name="Sanitizer">Whether to run compute-sanitizer if it is there.</param>
/// <param name="Bench">Whether to run the benchmark.</param>
/// <param name="Python">A Python with torch for the benchmark's rivals; null: the first one in PATH.</param>
/// <param name="Seed">Other random cases than the fixed ones; null: those.</param>
/// <param name="Only">Only tests whose name contains this; null: all.</param>
/// <param name="Cases">Only cases of the benchmark whose name contains this, or one of several between commas; null: all.</param>
/// <param name="Tests">The tests' program and what stands before its own arguments.</param>
internal sealed record CheckSettings(string Json, bool Quick, int Device, bool Sanitizer, bool Bench, string? Python, ulong? Seed, string? Only, string? Cases, string[] Tests);
