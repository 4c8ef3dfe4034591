namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>A model with steered attention.</summary>
/// <param name="Model">The content of its .onnx file.</param>
/// <param name="Layers">The layers that are steered, ascending.</param>
/// <param name="ExternalData">
/// Files that hold weights, as the model names them: relative to its folder. Empty when all is in <paramref name="Model"/>. Otherwise a
/// session made from the bytes has to be told the folder (session configuration entry <c>session.model_external_initializers_file_folder_path</c>,
/// ONNX Runtime 1.21 and later).
/// </param>
public sealed record RewrittenModel(byte[] Model, IReadOnlyList<SteeredLayer> Layers, IReadOnlyList<string> ExternalData);
