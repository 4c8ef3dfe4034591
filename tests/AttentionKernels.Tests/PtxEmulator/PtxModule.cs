namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Parsed PTX text.</summary>
internal sealed class PtxModule
{
    internal PtxModule(string version, int target, IReadOnlyList<PtxEntry> entries)
    {
        Version = version;
        Target = target;
        Entries = entries;
    }

    /// <summary>ISA version, e.g. 7.8.</summary>
    public string Version { get; }

    /// <summary>Number of the target: 80 for sm_80.</summary>
    public int Target { get; }

    public IReadOnlyList<PtxEntry> Entries { get; }

    public PtxEntry this[string name] => Entries.FirstOrDefault(entry => entry.Name == name)
        ?? throw new PtxException($"no entry {name}; the module has {string.Join(", ", Entries.Select(entry => entry.Name))}", 0, "");

    /// <exception cref="PtxException">Anything that the emulator does not know, with its line.</exception>
    public static PtxModule Parse(string text) => new PtxParser(text).Parse();
}
