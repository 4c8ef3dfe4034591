using System.Text;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.Tests.OnnxRuntime.Interop;

/// <summary>Writes models of one node named "node0". A dimension is a long, a symbol, or null for unknown; a null shape is no shape.</summary>
internal sealed class OneNodeModel
{
    public string Domain { get; init; } = ScaleAddOp.DomainName;

    public required string Op { get; init; }

    /// <summary>Names in the node's order; "" skips one.</summary>
    public required string[] NodeInputs { get; init; }

    public required string[] NodeOutputs { get; init; }

    /// <summary>float, long, string, float[], long[] or string[] by name.</summary>
    public Dictionary<string, object> Attributes { get; init; } = [];

    public required (string Name, OnnxElementType Type, object?[]? Shape)[] GraphInputs { get; init; }

    public required (string Name, OnnxElementType Type, object?[]? Shape)[] GraphOutputs { get; init; }

    /// <summary>Version of ONNX's own operators.</summary>
    public int Opset { get; init; } = 17;

    /// <summary>The protobuf message ModelProto.</summary>
    public byte[] ToBytes()
    {
        byte[] node = Join(
            [
                .. NodeInputs.Select(name => Text(1, name)),
                .. NodeOutputs.Select(name => Text(2, name)),
                Text(3, "node0"),
                Text(4, Op),
                .. Attributes.Select(a => Message(5, Join([Text(1, a.Key), .. Attribute(a.Value)]))),
                Text(7, Domain),
            ]);
        byte[] graph = Join(
            [
                Message(1, node),
                Text(2, "graph"),
                .. GraphInputs.Select(i => Message(11, ValueInfo(i.Name, i.Type, i.Shape))),
                .. GraphOutputs.Select(o => Message(12, ValueInfo(o.Name, o.Type, o.Shape))),
            ]);
        byte[] ownOpset = Domain.Length == 0 ? [] : Message(8, Join([Text(1, Domain), Integer(2, 1)]));
        return Join([Integer(1, 8), Message(7, graph), Message(8, Join([Text(1, ""), Integer(2, Opset)])), ownOpset]);
    }

    private static byte[][] Attribute(object value) => value switch
    {
        float f => [Float(2, f), Integer(20, 1)],
        long i => [Integer(3, i), Integer(20, 2)],
        string s => [Text(4, s), Integer(20, 3)],
        float[] fs => [.. fs.Select(f => Float(7, f)), Integer(20, 6)],
        long[] integers => [.. integers.Select(i => Integer(8, i)), Integer(20, 7)],
        string[] texts => [.. texts.Select(t => Text(9, t)), Integer(20, 8)],
        _ => throw new ArgumentException($"no attribute kind for {value.GetType()}"),
    };

    private static byte[] ValueInfo(string name, OnnxElementType type, object?[]? shape)
    {
        byte[] dimensions = shape == null ? [] : Message(2, Join([.. shape.Select(d => Message(1, Dimension(d)))]));
        return Join([Text(1, name), Message(2, Message(1, Join([Integer(1, (long)type), dimensions])))]);
    }

    private static byte[] Dimension(object? dimension) => dimension switch
    {
        null => [],
        string symbol => Text(2, symbol),
        _ => Integer(1, Convert.ToInt64(dimension)),
    };

    private static byte[] Varint(ulong value)
    {
        List<byte> bytes = [];
        for (; value > 127; value >>= 7)
        {
            bytes.Add((byte)(value | 128));
        }
        bytes.Add((byte)value);
        return [.. bytes];
    }

    private static byte[] Integer(int field, long value) => [.. Varint((ulong)field << 3), .. Varint((ulong)value)];

    private static byte[] Float(int field, float value) => [.. Varint(((ulong)field << 3) | 5), .. BitConverter.GetBytes(value)];

    private static byte[] Message(int field, byte[] body) => [.. Varint(((ulong)field << 3) | 2), .. Varint((ulong)body.Length), .. body];

    private static byte[] Text(int field, string text) => Message(field, Encoding.UTF8.GetBytes(text));

    private static byte[] Join(byte[][] parts) => [.. parts.SelectMany(part => part)];
}
