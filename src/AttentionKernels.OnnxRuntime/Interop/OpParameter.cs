namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>An input or output in the schema of a custom op.</summary>
/// <param name="Name">Its name, for messages; ONNX Runtime knows positions only.</param>
/// <param name="Type">Its element type.</param>
/// <param name="Optional">Whether a node may leave it out.</param>
internal sealed record OpParameter(string Name, OnnxElementType Type, bool Optional = false);
