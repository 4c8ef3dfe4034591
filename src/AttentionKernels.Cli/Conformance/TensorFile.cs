using System.Buffers.Binary;
using AttentionKernels.Cli.Run;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using Google.Protobuf;

namespace AttentionKernels.Cli.Conformance;

/// <summary>Reads a tensor of a test case: an ONNX TensorProto in a .pb file, whose elements are raw or in the list for their type.</summary>
internal static class TensorFile
{
    /// <summary>Reads a file.</summary>
    /// <exception cref="RunException">The file cannot be read or is malformed; the message names it.</exception>
    /// <exception cref="SkippedCaseException">Its elements are of a type that this runner does not have.</exception>
    public static TensorData Read(string path)
    {
        try
        {
            return Decode(TensorProto.Parser.ParseFrom(File.ReadAllBytes(path)));
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new RunException($"'{path}' is not a tensor: {e.Message}", e);
        }
        catch (FormatException e)
        {
            throw new RunException($"'{path}' is not a tensor: {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RunException($"cannot read '{path}': {e.Message}", e);
        }
    }

    /// <summary>The tensor that a message describes.</summary>
    /// <exception cref="FormatException">The message contradicts itself.</exception>
    /// <exception cref="SkippedCaseException">Its elements are of a type that this runner does not have.</exception>
    public static TensorData Decode(TensorProto tensor)
    {
        OnnxElementType type = (OnnxElementType)tensor.DataType;
        if (type == OnnxElementType.Undefined)
        {
            throw new FormatException("it has no element type");
        }
        if (tensor.DataLocation == TensorProto.Types.Location.External)
        {
            throw new FormatException("its elements are in another file");
        }
        int size = TensorData.SizeOf(type) ?? throw new SkippedCaseException($"a tensor has elements of type {tensor.DataType} ({type})");
        long[] shape = [.. tensor.Dims];
        if (shape.Any(n => n < 0))
        {
            throw new FormatException($"its shape is [{string.Join(',', shape)}]");
        }
        byte[] bytes = tensor.HasRawData ? tensor.RawData.ToByteArray() : Elements(tensor, type, size);
        Int128 expected = size;
        foreach (long dimension in shape)
        {
            // No product of fitting dimensions is larger than a file, so that this cannot overflow 128 bits before it stops.
            expected = dimension == 0 ? 0 : expected > bytes.Length ? expected : expected * dimension;
        }
        return expected == bytes.Length || shape.Contains(0) && bytes.Length == 0
            ? new TensorData(type, shape, bytes)
            : throw new FormatException($"it has {bytes.Length} bytes of elements, which do not fill shape [{string.Join(',', shape)}] of {type}");
    }

    /// <summary>The elements of the list that belongs to the type.</summary>
    private static byte[] Elements(TensorProto tensor, OnnxElementType type, int size)
    {
        switch (type)
        {
            case OnnxElementType.Float:
                return Pack(tensor.FloatData, BinaryPrimitives.WriteSingleLittleEndian);
            case OnnxElementType.Double:
                return Pack(tensor.DoubleData, BinaryPrimitives.WriteDoubleLittleEndian);
            case OnnxElementType.Int64:
                return Pack(tensor.Int64Data, BinaryPrimitives.WriteInt64LittleEndian);
            case OnnxElementType.UInt64:
                return Pack(tensor.Uint64Data, BinaryPrimitives.WriteUInt64LittleEndian);
            case OnnxElementType.UInt32:
                return Pack(tensor.Uint64Data, (to, value) => BinaryPrimitives.WriteUInt32LittleEndian(to, Within(value, uint.MinValue, uint.MaxValue)));
            case OnnxElementType.Int32:
                return Pack(tensor.Int32Data, BinaryPrimitives.WriteInt32LittleEndian);
            case OnnxElementType.Int16:
                return Pack(tensor.Int32Data, (to, value) => BinaryPrimitives.WriteInt16LittleEndian(to, Within(value, short.MinValue, short.MaxValue)));
            case OnnxElementType.Int8:
                return Pack(tensor.Int32Data, (to, value) => to[0] = (byte)Within(value, sbyte.MinValue, sbyte.MaxValue));
            case OnnxElementType.UInt8:
                return Pack(tensor.Int32Data, (to, value) => to[0] = Within(value, byte.MinValue, byte.MaxValue));
            case OnnxElementType.Bool:
                return Pack(tensor.Int32Data, (to, value) => to[0] = Within(value, (byte)0, (byte)1));
            default:
                return Pack(tensor.Int32Data, (to, value) => BinaryPrimitives.WriteUInt16LittleEndian(to, Within(value, ushort.MinValue, ushort.MaxValue)));
        }

        byte[] Pack<T>(IList<T> values, Write<T> write)
        {
            byte[] bytes = new byte[checked(values.Count * size)];
            for (int i = 0; i < values.Count; i++)
            {
                write(bytes.AsSpan(i * size, size), values[i]);
            }
            return bytes;
        }

        TTo Within<TFrom, TTo>(TFrom value, TTo least, TTo most)
            where TFrom : System.Numerics.INumber<TFrom>
            where TTo : System.Numerics.INumber<TTo> =>
            value >= TFrom.CreateSaturating(least) && value <= TFrom.CreateSaturating(most) ? TTo.CreateTruncating(value)
                : throw new FormatException($"it has an element {value}, which is no {type}");
    }

    private delegate void Write<T>(Span<byte> target, T value);
}
