namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>Types of attention tensors in ONNX's numbers.</summary>
internal static class OnnxElementTypes
{
    public static ElementType ToElementType(this OnnxElementType type) => type switch
    {
        OnnxElementType.Float => ElementType.Float32,
        OnnxElementType.Float16 => ElementType.Float16,
        OnnxElementType.BFloat16 => ElementType.BFloat16,
        _ => throw new ArgumentException($"{type} is no type of attention tensors", nameof(type)),
    };

    public static OnnxElementType ToOnnx(this ElementType type) => type switch
    {
        ElementType.Float32 => OnnxElementType.Float,
        ElementType.Float16 => OnnxElementType.Float16,
        _ => OnnxElementType.BFloat16,
    };
}
