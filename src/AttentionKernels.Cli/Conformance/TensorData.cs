using System.Buffers.Binary;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Cli.Conformance;

/// <summary>A tensor of a test case.</summary>
/// <param name="Type">Type of its elements.</param>
/// <param name="Shape">Its dimensions.</param>
/// <param name="Bytes">Its elements in row order, little-endian.</param>
internal sealed record TensorData(OnnxElementType Type, long[] Shape, byte[] Bytes)
{
    /// <summary>Elements.</summary>
    public int Count => Bytes.Length / SizeOf(Type)!.Value;

    /// <summary>Bytes of an element; null for types that test cases of this runner cannot have, such as strings.</summary>
    public static int? SizeOf(OnnxElementType type) => type switch
    {
        OnnxElementType.UInt8 or OnnxElementType.Int8 or OnnxElementType.Bool => 1,
        OnnxElementType.UInt16 or OnnxElementType.Int16 or OnnxElementType.Float16 or OnnxElementType.BFloat16 => 2,
        OnnxElementType.Float or OnnxElementType.Int32 or OnnxElementType.UInt32 => 4,
        OnnxElementType.Double or OnnxElementType.Int64 or OnnxElementType.UInt64 => 8,
        _ => null,
    };

    /// <summary>A tensor that ONNX Runtime made, copied.</summary>
    /// <exception cref="SkippedCaseException">Its elements are of a type that this runner does not have.</exception>
    public static unsafe TensorData Of(OrtTensor tensor)
    {
        int size = SizeOf(tensor.ElementType) ?? throw new SkippedCaseException($"an output has elements of type {tensor.ElementType}");
        return new(tensor.ElementType, tensor.Shape.ToArray(), new ReadOnlySpan<byte>(tensor.Data, checked((int)(tensor.ElementCount * size))).ToArray());
    }

    /// <summary>One element. Integers of more than 53 bits are rounded, by far less than any tolerance.</summary>
    public double this[int index]
    {
        get
        {
            int size = SizeOf(Type)!.Value;
            ReadOnlySpan<byte> at = Bytes.AsSpan(index * size, size);
            return Type switch
            {
                OnnxElementType.Float => BinaryPrimitives.ReadSingleLittleEndian(at),
                OnnxElementType.Double => BinaryPrimitives.ReadDoubleLittleEndian(at),
                OnnxElementType.Float16 => (double)BinaryPrimitives.ReadHalfLittleEndian(at),
                OnnxElementType.BFloat16 => BitConverter.Int32BitsToSingle(BinaryPrimitives.ReadUInt16LittleEndian(at) << 16),
                OnnxElementType.Int8 => (sbyte)at[0],
                OnnxElementType.Int16 => BinaryPrimitives.ReadInt16LittleEndian(at),
                OnnxElementType.Int32 => BinaryPrimitives.ReadInt32LittleEndian(at),
                OnnxElementType.Int64 => BinaryPrimitives.ReadInt64LittleEndian(at),
                OnnxElementType.UInt16 => BinaryPrimitives.ReadUInt16LittleEndian(at),
                OnnxElementType.UInt32 => BinaryPrimitives.ReadUInt32LittleEndian(at),
                OnnxElementType.UInt64 => BinaryPrimitives.ReadUInt64LittleEndian(at),
                _ => at[0],
            };
        }
    }
}
