namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>A parameter of an entry: where its bytes lie in the parameter buffer of a launch.</summary>
/// <param name="Name">Name in the PTX text.</param>
/// <param name="Type">b8, b16, b32, b64, f32, f64, ...; the element type of an array.</param>
/// <param name="Offset">Offset in bytes.</param>
/// <param name="Size">Size in bytes.</param>
internal sealed record PtxParameter(string Name, string Type, int Offset, int Size);
