using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using Google.Protobuf;

namespace AttentionKernels.Bench.Nodes;

/// <summary>One attention node with the tensors it reads and writes: the whole model of a <see cref="NodeSession"/>.</summary>
internal sealed record AttentionNode
{
    // ai.onnx::Attention exists from 23 on; contrib operators do not mind.
    private const int Opset = 23;

    /// <summary>Operator domain; empty is ai.onnx.</summary>
    public required string Domain { get; init; }

    public required string Op { get; init; }

    /// <summary>Whether a built-in operator is computed by this library.</summary>
    public bool Overridden { get; init; }

    /// <summary>long, float or string by name.</summary>
    public required IReadOnlyDictionary<string, object> Attributes { get; init; }

    /// <summary>By position; null: absent.</summary>
    public required IReadOnlyList<OrtTensor?> Inputs { get; init; }

    /// <summary>By position; null: not computed. The tensors receive the results.</summary>
    public required IReadOnlyList<OrtTensor?> Outputs { get; init; }

    /// <summary>Operator, attributes other than head counts, and which optional inputs and outputs it has: what decides about its kernel.</summary>
    public string Description =>
        (Domain.Length == 0 ? "ai.onnx" : Domain) + "::" + Op + (Overridden ? " overridden" : "")
        + string.Concat(Attributes.Where(a => !a.Key.EndsWith("num_heads", StringComparison.Ordinal)).Select(a => FormattableString.Invariant($" {a.Key}={a.Value}")))
        + $" inputs {Present(Inputs)} outputs {Present(Outputs)}";

    /// <summary>Operator, and whether it writes the cache: what tells candidates for one side apart.</summary>
    public string ShortName => Op + (Outputs.Count > 1 && Outputs[1] != null ? "+cache" : "");

    /// <summary>Name of the input or output at a position.</summary>
    public static string NameOf(string kind, int position) => kind + position;

    /// <summary>The model as the content of a .onnx file.</summary>
    public byte[] ToModel()
    {
        GraphProto graph = new() { Name = "attention" };
        GraphWriter writer = new(graph, ElementType.Float32);
        string[] inputs = [.. Declare(Inputs, "input", (name, tensor) => writer.Input(name, tensor.ElementType, Shape(tensor)))];
        string[] outputs = [.. Declare(Outputs, "output", (name, tensor) => writer.Output(name, tensor.ElementType, Shape(tensor)))];
        writer.Node(Domain, Op, "attention", inputs, outputs, [.. Attributes.Select(a => a.Value switch
        {
            long integer => GraphWriter.Attribute(a.Key, integer),
            float real => GraphWriter.Attribute(a.Key, real),
            string text => GraphWriter.Attribute(a.Key, text),
            _ => throw new ArgumentException($"attribute '{a.Key}' is a {a.Value.GetType().Name}"),
        })]);
        ModelProto model = new() { IrVersion = 10, Graph = graph };
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = Opset });
        if (Domain.Length > 0)
        {
            model.OpsetImport.Add(new OperatorSetIdProto { Domain = Domain, Version = 1 });
        }
        return model.ToByteArray();
    }

    private static object[] Shape(OrtTensor tensor) => [.. tensor.Shape.ToArray().Cast<object>()];

    private static string Present(IReadOnlyList<OrtTensor?> tensors) =>
        string.Join(',', tensors.Select((tensor, i) => (tensor, i)).Where(p => p.tensor != null).Select(p => p.i));

    private static IEnumerable<string> Declare(IReadOnlyList<OrtTensor?> tensors, string kind, Action<string, OrtTensor> declare)
    {
        int used = tensors.Count;
        while (used > 0 && tensors[used - 1] == null)
        {
            used--;
        }
        for (int i = 0; i < used; i++)
        {
            if (tensors[i] is OrtTensor tensor)
            {
                declare(NameOf(kind, i), tensor);
                yield return NameOf(kind, i);
            }
            else
            {
                yield return "";
            }
        }
    }
}
