using AttentionKernels.Cli;
using AttentionKernels.OnnxRuntime.Graph;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Tests.OnnxRuntime.Interop;
using AttentionKernels.Tests.OnnxRuntime.Ops;
using FsCheck;
using FsCheck.Fluent;
using Google.Protobuf;

namespace AttentionKernels.Tests.Cli.Conformance;

/// <summary>attnk conformance on cases of our own: right ones pass, wrong ones fail and say why.</summary>
public sealed class ConformanceCommandTests : IDisposable
{
    private static readonly OnnxAttentionSpec Small = new() { B = 2, Group = 2, S = 3, NewKeys = 5, Mask = MaskMode.Additive, Mode = 2, Seed = 6 };

    private readonly CaseFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>
    /// 80 random cases of every mode, mask, type, past and length, with what float64 expects. The absolute tolerance is above ONNX's because
    /// random logits cancel: 1e-5 is what float32 leaves of a sum of 64 terms.
    /// </summary>
    [Fact]
    public void Cases_Of_The_Reference_Pass()
    {
        int n = 0;
        foreach (OnnxAttentionSpec spec in OnnxAttentionSpec.Arbitrary.Generator.Sample(80, new Rnd(20251117), 50))
        {
            _folder.Add($"case_{n++:00}", spec);
        }
        ToolRun run = ToolRun.Of("conformance", _folder.Path, "--atol", "1e-5");
        Assert.True(run.Code == ExitCode.Success, string.Join('\n', run.Output.Split('\n').Where(line => !line.StartsWith("pass", StringComparison.Ordinal))));
        Assert.Contains("80 of 80 cases ran nodes on kernels of this library, 80 nodes in all.", run.Output, StringComparison.Ordinal);
        Assert.EndsWith("conformance: 80 passed, 0 failed, 0 skipped", run.Output.TrimEnd(), StringComparison.Ordinal);
        Assert.Equal(82, run.Output.TrimEnd().Split('\n').Length);
    }

    /// <summary>Without the override the same case runs on ONNX Runtime's kernel, and the report says so.</summary>
    [Fact]
    public void Without_Override_No_Node_Is_Ours()
    {
        _folder.Add("a", Small with { Mode = 3 });
        ToolRun run = ToolRun.Of("conformance", _folder.Path, "--no-override", "--atol", "1e-5");
        Assert.Equal(ExitCode.Success, run.Code);
        Assert.Contains("No node ran on a kernel of this library", run.Output, StringComparison.Ordinal);
        Assert.EndsWith("conformance: 1 passed, 0 failed, 0 skipped", run.Output.TrimEnd(), StringComparison.Ordinal);
        Assert.Contains("nodes of ours: 1)", ToolRun.Of("conformance", _folder.Path, "--override", "--atol", "1e-5").Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("value", "Y[0,0,0,1] is", "of the tolerance; 1 of 96 elements are outside")]
    [InlineData("NaN", "Y[0,0,0,1] is", "expected NaN")]
    [InlineData("infinite", "expected Infinity", "Y[0,0,0,1]")]
    [InlineData("shape", "Y has shape [2,2,3,8], expected [2,2,8,3]", "")]
    [InlineData("type", "Y is Float, expected Int32", "")]
    [InlineData("second output", "qk_matmul_output[0,0,0,0] is", "")]
    [InlineData("no output", "has no output_0.pb", "test_data_set_0")]
    [InlineData("no tensor", "output_0.pb' is not a tensor", "")]
    [InlineData("empty tensor", "output_0.pb' is not a tensor: it has no element type", "")]
    [InlineData("input too short", "input_1.pb' is not a tensor: it has 12 bytes", "do not fill shape [2,1,5,8] of Float")]
    [InlineData("other input", "ONNX Runtime:", "input 'K' has shape")]
    [InlineData("inputs", "5 input files, but the model has 4 inputs", "test_data_set_0")]
    [InlineData("numbers", "output_7.pb' is not one of output_0.pb to output_2.pb", "")]
    [InlineData("model", "model.onnx' is not a readable ONNX model", "")]
    [InlineData("no model", "model.onnx", "Could not find")]
    [InlineData("unsupported", "'node0'", "attribute 'scale' is -1")]
    public void A_Wrong_Case_Fails_And_Says_Why(string what, string says, string also)
    {
        _folder.Add("good", Small);
        _folder.Add("bad", Small);
        string output = _folder.File("bad", "test_data_set_0/output_0.pb"), model = _folder.File("bad", "model.onnx");
        switch (what)
        {
            case "value":
                SetFloat("output_0.pb", 1, x => (x * 1.01f) + 0.01f);
                break;
            case "NaN":
                SetFloat("output_0.pb", 1, _ => float.NaN);
                break;
            case "infinite":
                SetFloat("output_0.pb", 1, _ => float.PositiveInfinity);
                break;
            case "shape":
                _folder.Change("bad", "output_0.pb", t => (t.Dims[2], t.Dims[3]) = (t.Dims[3], t.Dims[2]));
                break;
            case "type":
                _folder.Change("bad", "output_0.pb", t => t.DataType = (int)OnnxElementType.Int32);
                break;
            case "second output":
                SetFloat("output_1.pb", 0, _ => 77);
                break;
            case "no output":
                File.Delete(output);
                File.Delete(_folder.File("bad", "test_data_set_0/output_1.pb"));
                break;
            case "no tensor":
                File.WriteAllText(output, "this is text, not a tensor");
                break;
            case "empty tensor":
                File.WriteAllBytes(output, []);
                break;
            case "input too short":
                _folder.Change("bad", "input_1.pb", t => t.RawData = ByteString.CopyFrom(t.RawData.Span[..12]));
                break;
            case "other input":
                _folder.Change("bad", "input_1.pb", t => (t.Dims[0], t.Dims[1]) = (1, 2));
                break;
            case "inputs":
                File.Copy(_folder.File("bad", "test_data_set_0/input_0.pb"), _folder.File("bad", "test_data_set_0/input_4.pb"));
                break;
            case "numbers":
                File.Copy(output, _folder.File("bad", "test_data_set_0/output_7.pb"));
                break;
            case "model":
                File.WriteAllText(model, "no model");
                break;
            case "no model":
                File.Delete(model);
                break;
            default:
                using (OnnxAttentionCase c = new(Small, ""))
                {
                    using OpNode node = c.Node();
                    node.Attributes["scale"] = -1f;
                    File.WriteAllBytes(model, node.ToModel());
                }
                break;
        }
        ToolRun run = ToolRun.Of("conformance", _folder.Path, "--atol", "1e-5");
        Assert.Equal((ExitCode.Failure, ""), (run.Code, run.Error));
        string[] lines = run.Output.TrimEnd().Split('\n');
        Assert.StartsWith("FAIL  bad ", lines[0], StringComparison.Ordinal);
        Assert.StartsWith("pass  good", lines[1], StringComparison.Ordinal);
        Assert.Equal("conformance: 1 passed, 1 failed, 0 skipped", lines[^1].TrimEnd());
        Assert.Contains(says, lines[0], StringComparison.Ordinal);
        Assert.Contains(also, lines[0], StringComparison.Ordinal);

        void SetFloat(string file, int index, Func<float, float> value) => _folder.Change("bad", file, t =>
        {
            byte[] bytes = t.RawData.ToByteArray();
            BitConverter.TryWriteBytes(bytes.AsSpan(4 * index), value(BitConverter.ToSingle(bytes, 4 * index)));
            t.RawData = ByteString.CopyFrom(bytes);
        });
    }

    /// <summary>What the runner does not do is skipped, with the reason: sequences, types that ONNX Runtime has no kernel for, cases without data.</summary>
    [Fact]
    public void What_Cannot_Run_Is_Skipped_With_The_Reason()
    {
        _folder.Add("a_sequence", Small);
        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(_folder.File("a_sequence", "model.onnx")));
        model.Graph.Input[1].Type.TensorType = null;
        File.WriteAllBytes(_folder.File("a_sequence", "model.onnx"), model.ToByteArray());
        _folder.Add("b_no_data", Small);
        Directory.Delete(_folder.File("b_no_data", "test_data_set_0"), recursive: true);
        _folder.Add("c_no_kernel", Binary("Mul", OnnxElementType.BFloat16), [], []);
        _folder.Add("d_strings", Small);
        _folder.Change("d_strings", "output_0.pb", t => t.DataType = (int)OnnxElementType.String);
        ToolRun run = ToolRun.Of("conformance", _folder.Path);
        string[] lines = run.Output.TrimEnd().Split('\n');
        Assert.Equal(ExitCode.Success, run.Code);
        Assert.Contains("'input1' is no tensor but a sequence", lines[0], StringComparison.Ordinal);
        Assert.Contains("no test_data_set folder", lines[1], StringComparison.Ordinal);
        Assert.Contains("ONNX Runtime has no kernel for it", lines[2], StringComparison.Ordinal);
        Assert.Contains("String", lines[3], StringComparison.Ordinal);
        Assert.All(lines[..4], line => Assert.StartsWith("skip  ", line, StringComparison.Ordinal));
        Assert.Equal("conformance: 0 passed, 0 failed, 4 skipped", lines[^1].TrimEnd());
    }

    /// <summary>A model of other operators is compared, too, and the report says that nothing of ours ran.</summary>
    [Fact]
    public void A_Case_Without_A_Node_Of_Ours_Says_So()
    {
        TensorProto Numbers(params int[] values)
        {
            TensorProto tensor = new() { DataType = (int)OnnxElementType.Int32 };
            tensor.Dims.Add(values.Length);
            tensor.Int32Data.AddRange(values);
            return tensor;
        }
        _folder.Add("sum", Binary("Add", OnnxElementType.Int32), [Numbers(1, 2, -3), Numbers(5, 5, 5)], [Numbers(6, 7, 2)]);
        ToolRun run = ToolRun.Of("conformance", _folder.Path);
        Assert.Contains("exact  (no node of ours)", run.Output, StringComparison.Ordinal);
        Assert.Contains("0 of 1 cases ran nodes on kernels of this library", run.Output, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Success, run.Code);
    }

    /// <summary>A scaled matrix product, which ONNX Runtime fuses into com.microsoft FusedMatMul, though the model does not import that domain.</summary>
    [Fact]
    public void Fusions_Of_Onnx_Runtime_Still_Work()
    {
        ModelProto model = ModelProto.Parser.ParseFrom(Binary("MatMul", OnnxElementType.Float));
        float[] numbers = [1, 2, 3, 4];
        TensorProto Matrix(string name, float factor, params long[] shape)
        {
            TensorProto tensor = new() { Name = name, DataType = (int)OnnxElementType.Float };
            tensor.Dims.AddRange(shape);
            tensor.FloatData.AddRange(numbers.Take((int)shape.Aggregate(1L, (a, b) => a * b)).Select(x => x * factor));
            return tensor;
        }
        model.Graph.Initializer.Add(Matrix("half", 0.5f));
        model.Graph.Node.Insert(0, new NodeProto { OpType = "Mul", Input = { "a", "half" }, Output = { "scaled" } });
        model.Graph.Node[1].Input[0] = "scaled";
        foreach (ValueInfoProto value in model.Graph.Input.Concat(model.Graph.Output))
        {
            value.Type.TensorType.Shape.Dim.Add(new TensorShapeProto.Types.Dimension());
        }
        TensorProto product = Matrix("c", 1, 2, 2);
        product.FloatData.Clear();
        product.FloatData.AddRange([3.5f, 5, 7.5f, 11]);
        _folder.Add("fused", model.ToByteArray(), [Matrix("a", 1, 2, 2), Matrix("b", 1, 2, 2)], [product]);
        ToolRun run = ToolRun.Of("conformance", _folder.Path);
        Assert.True(run.Code == ExitCode.Success, run.Output);
    }

    [Fact]
    public void Filter_And_Tolerance_Options_Count()
    {
        _folder.Add("first", Small);
        _folder.Add("second", Small);
        _folder.Change("second", "output_0.pb", t => t.DataType = (int)OnnxElementType.Int32);
        Assert.EndsWith("conformance: 1 passed, 0 failed, 0 skipped", ToolRun.Of("conformance", _folder.Path, "--filter", "FIRST", "--atol", "1e-5").Output.TrimEnd(), StringComparison.Ordinal);
        Assert.Equal(ExitCode.Failure, ToolRun.Of("conformance", _folder.Path, "--filter", "first", "--rtol", "0", "--atol", "0").Code);
        Assert.Contains(" ms", ToolRun.Of("conformance", _folder.Path, "--filter", "first", "--verbose").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void No_Case_Is_A_Failure()
    {
        _folder.Add("first", Small);
        Assert.Contains("has no test case with 'third' in its name", Failure("conformance", _folder.Path, "--filter", "third"), StringComparison.Ordinal);
        Assert.Contains("has no test case: no folder with model.onnx", Failure("conformance", _folder.File("first", "test_data_set_0")), StringComparison.Ordinal);
        Assert.Contains("there is no folder", Failure("conformance", _folder.File("first", "absent")), StringComparison.Ordinal);

        static string Failure(params string[] arguments)
        {
            ToolRun run = ToolRun.Of(arguments);
            Assert.Equal((ExitCode.Failure, ""), (run.Code, run.Output));
            return run.Error;
        }
    }

    [Fact]
    public void A_Cancelled_Run_Ends_As_Ctrl_C_Does()
    {
        _folder.Add("first", Small);
        ToolRun run = ToolRun.Of(new CancellationToken(canceled: true), "conformance", _folder.Path);
        Assert.Equal((ExitCode.Cancelled, ""), (run.Code, run.Output));
    }

    /// <summary>A model of one operator with two inputs.</summary>
    private static byte[] Binary(string op, OnnxElementType type) => new OneNodeModel
    {
        Domain = "",
        Op = op,
        NodeInputs = ["a", "b"],
        NodeOutputs = ["c"],
        GraphInputs = [("a", type, [null]), ("b", type, [null])],
        GraphOutputs = [("c", type, [null])],
    }.ToBytes();
}
