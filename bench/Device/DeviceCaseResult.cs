using System.Text.Json.Serialization;

namespace AttentionKernels.Bench.Device;

/// <summary>What was found of a case.</summary>
/// <param name="Problem">The case.</param>
/// <param name="Skipped">Why nothing of it was run; null: it was.</param>
/// <param name="Roles">The clip that steered; null: nothing was.</param>
/// <param name="Caches">Caches that calls took in turns.</param>
/// <param name="Sides">Each side.</param>
internal sealed record DeviceCaseResult([property: JsonIgnore] DeviceCase Problem, string? Skipped, string? Roles, int? Caches, IReadOnlyList<DeviceSideResult> Sides)
{
    /// <summary>Its name.</summary>
    [JsonPropertyOrder(-1)]
    public string Case => Problem.ToString();

    /// <summary>Operations of plain attention.</summary>
    public double Operations => Problem.Operations;

    /// <summary>Bytes of keys and values.</summary>
    public double CacheBytes => Problem.CacheBytes;

    /// <summary>A side that was measured, or null.</summary>
    public DeviceSideResult? Measured(string side) => Sides.FirstOrDefault(s => s.Side == side && s.Status == DeviceSideStatus.Measured);
}
