namespace AttentionKernels.Cli.Report;

/// <summary>Everything that a run found out. docs/cli.md describes the JSON form.</summary>
internal sealed record RunReport(
    MachineReport Machine,
    ModelReport Model,
    SettingsReport Settings,
    SceneReport Scene,
    IReadOnlyList<LayerReport> Layers,
    TimeReport Times,
    CheckReport Check);
