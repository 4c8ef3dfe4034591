namespace AttentionKernels.Cli.Conformance;

/// <summary>What became of a case.</summary>
internal enum CaseVerdict
{
    Passed,
    Failed,

    /// <summary>The runner cannot do it.</summary>
    Skipped,
}
