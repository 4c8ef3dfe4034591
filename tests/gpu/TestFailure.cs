namespace AttentionKernels.GpuCheck;

/// <summary>A law that did not hold.</summary>
/// <param name="Test">Name of the test.</param>
/// <param name="Message">What it said, with the line that brings a random case back.</param>
internal sealed record TestFailure(string Test, string Message);
