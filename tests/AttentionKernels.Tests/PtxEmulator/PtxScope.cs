namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Names declared between two braces; inner scopes hide outer ones.</summary>
internal sealed class PtxScope(PtxScope? parent)
{
    private readonly Dictionary<string, PtxRegister> _registers = [];
    private readonly Dictionary<string, int> _labels = [];
    private readonly Dictionary<string, string[]> _targets = [];

    public PtxScope? Parent { get; } = parent;

    public bool Add(PtxRegister register) => _registers.TryAdd(register.Name, register);

    public bool AddLabel(string name, int instruction) => _labels.TryAdd(name, instruction);

    /// <summary>.branchtargets: labels of a brx.idx.</summary>
    public bool AddTargets(string name, string[] labels) => _targets.TryAdd(name, labels);

    public PtxRegister? Register(string name) =>
        _registers.TryGetValue(name, out PtxRegister? register) ? register : Parent?.Register(name);

    public int? Label(string name) => _labels.TryGetValue(name, out int index) ? index : Parent?.Label(name);

    public string[]? Targets(string name) => _targets.TryGetValue(name, out string[]? labels) ? labels : Parent?.Targets(name);
}
