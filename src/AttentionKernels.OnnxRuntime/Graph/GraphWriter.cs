using System.Runtime.InteropServices;
using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime.Interop;
using Google.Protobuf;

namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>Appends nodes, constants, inputs and outputs to a graph.</summary>
/// <param name="graph">The graph.</param>
/// <param name="type">Element type of the weights.</param>
internal sealed unsafe class GraphWriter(GraphProto graph, ElementType type)
{
    /// <summary>The domain of ONNX Runtime's own operators.</summary>
    public const string MicrosoftDomain = "com.microsoft";

    /// <summary>ONNX's number for the element type of the weights.</summary>
    public OnnxElementType WeightType { get; } = type.ToOnnx();

    /// <summary>A tensor type. A dimension is a number or, as text, a symbol.</summary>
    public static ValueInfoProto Value(string name, OnnxElementType type, params ReadOnlySpan<object> shape)
    {
        TensorShapeProto dims = new();
        foreach (object dim in shape)
        {
            dims.Dim.Add(dim is string symbol
                ? new TensorShapeProto.Types.Dimension { DimParam = symbol }
                : new TensorShapeProto.Types.Dimension { DimValue = Convert.ToInt64(dim) });
        }
        return new ValueInfoProto
        {
            Name = name,
            Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = dims } },
        };
    }

    /// <summary>An integer attribute.</summary>
    public static AttributeProto Attribute(string name, long value) =>
        new() { Name = name, Type = AttributeProto.Types.Kind.Int, I = value };

    /// <summary>A real attribute.</summary>
    public static AttributeProto Attribute(string name, float value) =>
        new() { Name = name, Type = AttributeProto.Types.Kind.Float, F = value };

    /// <summary>A text attribute.</summary>
    public static AttributeProto Attribute(string name, string value) =>
        new() { Name = name, Type = AttributeProto.Types.Kind.String, S = ByteString.CopyFromUtf8(value) };

    /// <summary>Declares a graph input and returns its name.</summary>
    public string Input(string name, OnnxElementType elementType, params ReadOnlySpan<object> shape)
    {
        graph.Input.Add(Value(name, elementType, shape));
        return name;
    }

    /// <summary>Declares a graph output.</summary>
    public void Output(string name, OnnxElementType elementType, params ReadOnlySpan<object> shape) =>
        graph.Output.Add(Value(name, elementType, shape));

    /// <summary>States the type of a value between nodes, for runtimes that cannot infer it.</summary>
    public void Annotate(string name, OnnxElementType elementType, params ReadOnlySpan<object> shape) =>
        graph.ValueInfo.Add(Value(name, elementType, shape));

    /// <summary>Adds an ONNX operator with one output, named after the node, and returns that name.</summary>
    public string Node(string op, string name, string[] inputs, params ReadOnlySpan<AttributeProto> attributes)
    {
        string output = name + "/output_0";
        Node("", op, name, inputs, [output], attributes);
        return output;
    }

    /// <summary>Adds an operator.</summary>
    public void Node(string domain, string op, string name, string[] inputs, string[] outputs, params ReadOnlySpan<AttributeProto> attributes)
    {
        NodeProto node = new() { Name = name, OpType = op, Domain = domain };
        node.Input.AddRange(inputs);
        node.Output.AddRange(outputs);
        foreach (AttributeProto attribute in attributes)
        {
            node.Attribute.Add(attribute);
        }
        graph.Node.Add(node);
    }

    /// <summary>Adds a constant list of integers and returns its name.</summary>
    public string Integers(string name, params ReadOnlySpan<long> values) =>
        Constant(name, OnnxElementType.Int64, [values.Length], MemoryMarshal.AsBytes(values).ToArray());

    /// <summary>Adds a constant integer without dimensions and returns its name.</summary>
    public string Integer(string name, long value) =>
        Constant(name, OnnxElementType.Int64, [], MemoryMarshal.AsBytes([value]).ToArray());

    /// <summary>Adds a float32 constant, whatever the type of the weights, and returns its name.</summary>
    public string Floats(string name, ReadOnlySpan<long> shape, ReadOnlySpan<float> values) =>
        Constant(name, OnnxElementType.Float, shape, MemoryMarshal.AsBytes(values).ToArray());

    /// <summary>Adds a constant in the type of the weights and returns its name.</summary>
    public string Weights(string name, ReadOnlySpan<long> shape, ReadOnlySpan<float> values)
    {
        if (type == ElementType.Float32)
        {
            return Floats(name, shape, values);
        }
        byte[] bytes = new byte[values.Length * 2L];
        fixed (byte* target = bytes)
        fixed (float* source = values)
        {
            ElementRows.Narrow(type, source, target, values.Length);
        }
        return Constant(name, WeightType, shape, bytes);
    }

    private string Constant(string name, OnnxElementType elementType, ReadOnlySpan<long> shape, byte[] bytes)
    {
        // Nobody else holds the array, so the tensor may keep it instead of a copy.
        TensorProto tensor = new() { Name = name, DataType = (int)elementType, RawData = UnsafeByteOperations.UnsafeWrap(bytes) };
        tensor.Dims.AddRange(shape.ToArray());
        graph.Initializer.Add(tensor);
        return name;
    }
}
