namespace AttentionKernels.Bench.Report;

/// <summary>Extra memory of a steered call, in MB of 2^20 bytes.</summary>
/// <param name="Case">Its name.</param>
/// <param name="Threads">Intra-op threads.</param>
/// <param name="Scratch">What the engine says that it takes from ONNX Runtime's arena.</param>
/// <param name="Peak">How far the process's largest resident size rose during the first run of the session, inputs and outputs being resident before; null: this system does not tell.</param>
internal sealed record MemoryResult(string Case, int Threads, double Scratch, double? Peak)
{
    /// <summary>MB that must not be reached.</summary>
    public const double Limit = 64;

    /// <summary>The larger of both numbers.</summary>
    public double Largest => Math.Max(Scratch, Peak ?? 0);
}
