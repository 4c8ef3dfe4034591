using System.Globalization;
using System.Text.Json.Nodes;
using AttentionKernels.Bench.Report;

namespace AttentionKernels.Bench.Device;

/// <summary>Everything that was measured on a device.</summary>
/// <param name="Quick">Whether it was the short run.</param>
/// <param name="Machine">Where.</param>
/// <param name="Device">On what.</param>
/// <param name="Torch">The PyTorch that was compared with, or why none was.</param>
/// <param name="Stopped">Why the run ended before its end: the device was lost; null: it did not.</param>
/// <param name="Bars">The bars.</param>
/// <param name="Cases">Every case.</param>
internal sealed record DeviceReport(
    bool Quick, MachineDescription Machine, DeviceDescription Device, TorchDescription Torch, string? Stopped, IReadOnlyList<DeviceBarResult> Bars, IReadOnlyList<DeviceCaseResult> Cases)
{
    /// <summary>Whether something was measured, and every call of ours was right and ran to its end. PyTorch's sides do not count.</summary>
    public bool Succeeded { get; init; } = true;

    /// <summary>The last line of the text.</summary>
    public string Summary => "summary: " + string.Join(' ', Bars.Select(bar => $"{bar.Key}={bar.Mean?.ToString("0.000", CultureInfo.InvariantCulture) ?? "-"}"));

    /// <summary>Writes the report as JSON to a file, over what is there: every number of the text and every sample.</summary>
    public void WriteJson(string path) => ReportJson.Write(this, path);

    /// <summary>The same as a part of another JSON.</summary>
    public JsonNode ToJson() => ReportJson.ToNode(this);

    /// <summary>Writes the report as a table.</summary>
    public void WriteText(TextWriter output) => DeviceText.Write(output, this);
}
