namespace AttentionKernels.Cli.Doctor;

/// <summary>How a finding is meant.</summary>
internal enum Verdict
{
    /// <summary>There, and works.</summary>
    Fine,

    /// <summary>Not there, and not needed.</summary>
    Absent,

    /// <summary>The CPU path cannot work.</summary>
    Broken,
}
