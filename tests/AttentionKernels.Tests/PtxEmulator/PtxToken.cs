namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>One token of PTX text.</summary>
internal readonly record struct PtxToken(PtxTokenKind Kind, string Text, int Line);
