namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>What a launch executed: a cost model, equal for every number of workers.</summary>
internal sealed class PtxCounts
{
    private readonly long[] _classes = new long[Enum.GetValues<PtxOpClass>().Length];

    /// <summary>Instructions executed, one for each warp, whether or not its guard let a lane through.</summary>
    public long WarpInstructions { get; set; }

    /// <summary>Branches that separated the lanes of a warp.</summary>
    public long DivergentBranches { get; set; }

    /// <summary>Bytes that lanes asked for, asynchronous copies included.</summary>
    public long GlobalBytesRead { get; set; }

    public long GlobalBytesWritten { get; set; }

    /// <summary>Sectors of 32 bytes touched, counted for each warp instruction: bytes / 32 when accesses are coalesced.</summary>
    public long GlobalSectorsRead { get; set; }

    public long GlobalSectorsWritten { get; set; }

    /// <summary>Passes through the 32 banks of shared memory, 128 bytes each, by ld, st, ldmatrix and cp.async.</summary>
    public long SharedWavefronts { get; set; }

    /// <summary>Those of <see cref="SharedWavefronts"/> that bank conflicts add.</summary>
    public long BankConflicts { get; set; }

    /// <summary>Barriers passed, one for each block.</summary>
    public long Barriers { get; set; }

    /// <summary>mma instructions, one for each warp.</summary>
    public long Mma => this[PtxOpClass.Matrix];

    public long this[PtxOpClass kind]
    {
        get => _classes[(int)kind];
        set => _classes[(int)kind] = value;
    }

    public void Add(PtxCounts other)
    {
        for (int i = 0; i < _classes.Length; i++)
        {
            _classes[i] += other._classes[i];
        }
        WarpInstructions += other.WarpInstructions;
        DivergentBranches += other.DivergentBranches;
        GlobalBytesRead += other.GlobalBytesRead;
        GlobalBytesWritten += other.GlobalBytesWritten;
        GlobalSectorsRead += other.GlobalSectorsRead;
        GlobalSectorsWritten += other.GlobalSectorsWritten;
        SharedWavefronts += other.SharedWavefronts;
        BankConflicts += other.BankConflicts;
        Barriers += other.Barriers;
    }

    public override string ToString() =>
        $"{WarpInstructions} warp instructions ({string.Join(", ", Enum.GetValues<PtxOpClass>().Where(kind => this[kind] > 0).Select(kind => $"{kind} {this[kind]}"))}); "
        + $"global read {GlobalBytesRead} B in {GlobalSectorsRead} sectors, written {GlobalBytesWritten} B in {GlobalSectorsWritten}; "
        + $"shared {SharedWavefronts} wavefronts, {BankConflicts} of them conflicts; {Barriers} barriers; {DivergentBranches} divergent branches";
}
