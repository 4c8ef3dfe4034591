using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace AttentionKernels.GpuCheck;

/// <summary>The benchmark on the device.</summary>
/// <param name="Status">In words.</param>
/// <param name="IsGood">Whether it ran to its end; false, too, where it did not run.</param>
/// <param name="Ran">Whether it ran.</param>
/// <param name="Results">Its numbers; null: none.</param>
/// <param name="Text">Its tables; empty: none.</param>
internal sealed record BenchmarkResult(string Status, bool IsGood, bool Ran, JsonNode? Results, [property: JsonIgnore] string Text)
{
    /// <summary>It did not run.</summary>
    public static BenchmarkResult NotRun(string why) => new(why, false, false, null, "");
}
