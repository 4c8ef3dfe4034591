using System.Runtime.InteropServices;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Tests.OnnxRuntime.Graph;
using AttentionKernels.Tests.OnnxRuntime.Ops;
using AttentionKernels.Tests.Support;
using Google.Protobuf;

namespace AttentionKernels.Tests.Cli.Conformance;

/// <summary>Test cases in the format of ONNX's backend tests, in a folder that exists as long as the test.</summary>
internal sealed class CaseFolder : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public string Path => _folder.File("");

    /// <summary>Path of a file of a case.</summary>
    public string File(string name, string file) => System.IO.Path.Combine(_folder.File(name), file);

    /// <summary>Writes a node's model, its inputs, and what the float64 reference expects, rounded once.</summary>
    public void Add(string name, OnnxAttentionSpec spec)
    {
        using OnnxAttentionCase c = new(spec, nameof(CaseFolder));
        using OpNode node = c.Node();
        List<(string, float[], long[])> outputs = [("Y", Floats(c.Output()), c.OutputShape)];
        if (spec.Present)
        {
            outputs.Add(("present_key", c.PresentKey, [spec.B, spec.Kv, spec.T, spec.D]));
            outputs.Add(("present_value", c.PresentValue, [spec.B, spec.Kv, spec.T, spec.Dv]));
        }
        if (spec.Mode >= 0)
        {
            outputs.Add(("qk_matmul_output", Floats(c.Matrix()), [spec.B, spec.H, spec.S, spec.T]));
        }
        Add(name, node.ToModel(), [.. node.Feeds().Select(f => Tensor(f.Key, f.Value))], [.. outputs.Select(o => Tensor(o.Item1, spec.Type, o.Item2, o.Item3))]);

        static float[] Floats(double[] values) => [.. values.Select(x => (float)x)];
    }

    /// <summary>Writes a case with one data set.</summary>
    public void Add(string name, byte[] model, TensorProto[] inputs, TensorProto[] outputs)
    {
        Directory.CreateDirectory(File(name, "test_data_set_0"));
        System.IO.File.WriteAllBytes(File(name, "model.onnx"), model);
        Write("input", inputs);
        Write("output", outputs);

        void Write(string kind, TensorProto[] tensors)
        {
            for (int i = 0; i < tensors.Length; i++)
            {
                System.IO.File.WriteAllBytes(File(name, $"test_data_set_0/{kind}_{i}.pb"), tensors[i].ToByteArray());
            }
        }
    }

    /// <summary>Rewrites a tensor of a case.</summary>
    public void Change(string name, string file, Action<TensorProto> change)
    {
        string path = File(name, $"test_data_set_0/{file}");
        TensorProto tensor = TensorProto.Parser.ParseFrom(System.IO.File.ReadAllBytes(path));
        change(tensor);
        System.IO.File.WriteAllBytes(path, tensor.ToByteArray());
    }

    public void Dispose() => _folder.Dispose();

    public static unsafe TensorProto Tensor(string name, OrtTensor tensor)
    {
        int size = tensor.ElementType switch { OnnxElementType.Bool => 1, OnnxElementType.Int64 => 8, OnnxElementType.Float => 4, _ => 2 };
        TensorProto proto = Tensor(name, tensor.ElementType, new ReadOnlySpan<byte>(tensor.Data, (int)tensor.ElementCount * size), tensor.Shape);
        if (tensor.ElementType == OnnxElementType.Int64)
        {
            // The same numbers in their own list.
            proto.Int64Data.AddRange(MemoryMarshal.Cast<byte, long>(proto.RawData.Span).ToArray());
            proto.ClearRawData();
        }
        return proto;
    }

    public static TensorProto Tensor(string name, OnnxElementType type, ReadOnlySpan<byte> bytes, ReadOnlySpan<long> shape)
    {
        TensorProto tensor = new() { Name = name, DataType = (int)type, RawData = ByteString.CopyFrom(bytes) };
        tensor.Dims.AddRange(shape.ToArray());
        return tensor;
    }

    private static unsafe TensorProto Tensor(string name, ElementType type, float[] values, long[] shape)
    {
        byte[] bytes = new byte[values.Length * type.Size()];
        fixed (byte* to = bytes)
        {
            for (int i = 0; i < values.Length; i++)
            {
                type.Store(to, i, values[i]);
            }
        }
        return Tensor(name, type.ToOnnx(), bytes, shape);
    }
}
