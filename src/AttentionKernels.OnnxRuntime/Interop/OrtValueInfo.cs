namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>An input or output of a model.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its type; null if it is not a tensor.</param>
internal sealed record OrtValueInfo(string Name, OnnxTensorType? Type);
