namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>ONNX element types, with the numbers of the C API and of TensorProto.</summary>
internal enum OnnxElementType
{
    /// <summary>No type: a custom op's argument of this type accepts every one.</summary>
    Undefined = 0,
    Float = 1,
    UInt8 = 2,
    Int8 = 3,
    UInt16 = 4,
    Int16 = 5,
    Int32 = 6,
    Int64 = 7,
    String = 8,
    Bool = 9,
    Float16 = 10,
    Double = 11,
    UInt32 = 12,
    UInt64 = 13,
    BFloat16 = 16,
    Float8E4M3FN = 17,
}
