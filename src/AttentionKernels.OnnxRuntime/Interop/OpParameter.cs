namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>An input or output in the schema of a custom op.</summary>
/// <param name="Name">Its name, for messages; ONNX Runtime knows positions only.</param>
/// <param name="Type">Its element type.</param>
/// <param name="Optional">Whether a node may leave it out.</param>
/// <param name="OnHost">Whether an input is wanted in the processor's memory where the provider's own is another.</param>
internal sealed record OpParameter(string Name, OnnxElementType Type, bool Optional = false, bool OnHost = false);
