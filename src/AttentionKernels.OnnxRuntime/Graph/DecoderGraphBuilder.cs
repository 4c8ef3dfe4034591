using AttentionKernels.OnnxRuntime.Interop;
using Google.Protobuf;

namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>
/// Writes a decoder as ONNX in the form in which onnxruntime-genai exports the text model of Qwen2.5-VL, with seeded random
/// weights: it shows the mechanism, not language.
/// </summary>
/// <remarks>
/// <code>
/// in   inputs_embeds [batch, sequence, Hidden]        weights' type
///      attention_mask [batch, total]                  int64, 1 on tokens, padding on the right
///      position_ids [3, batch, sequence]              int64: time, height, width
///      past_key_values.{i}.key / .value [batch, KvHeads, past, HeadSize]
/// out  logits [batch, sequence, Vocabulary]
///      present.{i}.key / .value [batch, KvHeads, total, HeadSize]
///      query.{i} [batch, sequence, Heads * HeadSize]  rotated; only with ExportQueries
/// </code>
/// The operators and versions are those of ONNX Runtime 1.18 and later.
/// </remarks>
internal sealed class DecoderGraphBuilder
{
    private const string Batch = "batch_size";
    private const string Sequence = "sequence_length";
    private const string Past = "past_sequence_length";
    private const string Total = "total_sequence_length";

    private readonly DecoderConfig _config;
    private readonly DecoderWeights _weights;
    private readonly GraphProto _graph = new() { Name = "main_graph" };
    private readonly GraphWriter _writer;

    private DecoderGraphBuilder(DecoderConfig config)
    {
        _config = config;
        _weights = new DecoderWeights(config);
        _writer = new GraphWriter(_graph, config.Type);
    }

    /// <summary>Builds the decoder of <paramref name="config"/> and returns the content of its .onnx file. Equal configurations give equal bytes.</summary>
    /// <exception cref="OnnxModelException">The sizes make no decoder, or its weights exceed what one file holds.</exception>
    public static byte[] Build(DecoderConfig config) => BuildModel(config).ToByteArray();

    /// <summary>Builds the decoder of <paramref name="config"/>.</summary>
    /// <exception cref="OnnxModelException">The sizes make no decoder, or its weights exceed what one file holds.</exception>
    public static ModelProto BuildModel(DecoderConfig config)
    {
        config.Check();
        DecoderGraphBuilder builder = new(config);
        builder.WriteDecoder();
        return new ModelProto
        {
            IrVersion = 8,
            ProducerName = "AttentionKernels",
            DocString = "Random weights: this model shows a mechanism and knows no language.",
            Graph = builder._graph,
            OpsetImport =
            {
                new OperatorSetIdProto { Domain = "", Version = 17 },
                new OperatorSetIdProto { Domain = GraphWriter.MicrosoftDomain, Version = 1 },
            },
        };
    }

    private void WriteDecoder()
    {
        string residual = _writer.Input("inputs_embeds", _writer.WeightType, Batch, Sequence, _config.Hidden);
        string mask = _writer.Input("attention_mask", OnnxElementType.Int64, Batch, Total);
        string positions = _writer.Input("position_ids", OnnxElementType.Int64, 3, Batch, Sequence);
        _writer.Output("logits", _writer.WeightType, Batch, Sequence, _config.Vocabulary);

        (string lastKeys, string totalKeys) = WriteLengths(mask);
        (string cos, string sin) = WriteRotation(positions);
        string queryShape = _writer.Integers("/model/rotary/query_shape", 0, 0, _config.Heads, _config.HeadSize);
        string keyShape = _writer.Integers("/model/rotary/key_shape", 0, 0, _config.KvHeads, _config.HeadSize);
        string flatShape = _writer.Integers("/model/rotary/flat_shape", 0, 0, -1);

        for (int i = 0; i < _config.Layers; i++)
        {
            string layer = $"/model/layers.{i}";
            string attention = layer + "/attn";

            string x = WriteNorm(layer + "/input_layernorm", residual);
            string query = WriteRotated(attention + "/q_rotary", WriteProjection(attention + "/q_proj", x, _weights.Query(i)), queryShape, flatShape, cos, sin);
            string key = WriteRotated(attention + "/k_rotary", WriteProjection(attention + "/k_proj", x, _weights.Key(i)), keyShape, flatShape, cos, sin);
            string value = WriteProjection(attention + "/v_proj", x, _weights.Value(i));
            string heads = WriteAttention(i, attention, query, key, value, lastKeys, totalKeys);
            residual = _writer.Node("Add", attention + "/residual/Add", [residual, WriteProjection(attention + "/o_proj", heads, _weights.AttentionOutput(i))]);

            x = WriteNorm(layer + "/post_attention_layernorm", residual);
            residual = _writer.Node("Add", layer + "/mlp/residual/Add", [residual, WriteFeedForward(layer + "/mlp", x, i)]);
        }
        string final = WriteNorm("/model/final_norm", residual);
        _writer.Node("", "MatMul", "/lm_head/MatMul", [final, Matrix("/lm_head", _weights.LanguageHead())], ["logits"]);
    }

    /// <summary>From the mask: the index of each element's last key [batch] and the number of keys, as int32.</summary>
    private (string LastKeys, string TotalKeys) WriteLengths(string mask)
    {
        const string name = "/model/attn_mask_reformat";
        AttributeProto int32 = GraphWriter.Attribute("to", (long)OnnxElementType.Int32);
        string one = _writer.Integers(name + "/one", 1);

        string count = _writer.Node("ReduceSum", name + "/ReduceSum", [mask, one], GraphWriter.Attribute("keepdims", 0));
        string last = _writer.Node("Sub", name + "/Sub", [count, one]);
        string shape = _writer.Node("Shape", name + "/Shape", [mask]);
        string total = _writer.Node("Gather", name + "/Gather", [shape, _writer.Integer(name + "/index", 1)], GraphWriter.Attribute("axis", 0));
        return (_writer.Node("Cast", name + "/last/Cast", [last], int32), _writer.Node("Cast", name + "/total/Cast", [total], int32));
    }

    /// <summary>Cosine and sine [batch, sequence, 1, HeadSize / 2] of the rotation angles, for all layers and heads.</summary>
    private (string Cos, string Sin) WriteRotation(string positions)
    {
        const string name = "/model/rotary";
        int half = _config.HeadSize / 2;
        MropeSections sections = _config.Sections;

        // [3, 1, 1, D/2]: each frequency stands in the row of its axis and is 0 in the other two, so a sum over the axes selects it.
        float[] frequencies = new float[3 * half];
        for (int i = 0; i < half; i++)
        {
            frequencies[(sections.AxisOf(i) * half) + i] = (float)Math.Pow(_config.RopeTheta, -2.0 * i / _config.HeadSize);
        }

        string real = _writer.Node("Cast", name + "/positions/Cast", [positions], GraphWriter.Attribute("to", (long)OnnxElementType.Float));
        string column = _writer.Node("Unsqueeze", name + "/positions/Unsqueeze", [real, _writer.Integers(name + "/last_axis", -1)]);
        string products = _writer.Node("Mul", name + "/Mul", [column, _writer.Floats(name + "/frequencies", [3, 1, 1, half], frequencies)]);
        string angles = _writer.Node("ReduceSum", name + "/ReduceSum", [products, _writer.Integers(name + "/first_axis", 0)], GraphWriter.Attribute("keepdims", 0));
        string perHead = _writer.Node("Unsqueeze", name + "/Unsqueeze", [angles, _writer.Integers(name + "/head_axis", 2)]);

        // The angles of late tokens need float32; only their cosine and sine may be rounded to the type of the weights.
        string InWeightType(string function)
        {
            string value = _writer.Node(function, $"{name}/{function}", [perHead]);
            return _config.Type == ElementType.Float32
                ? value
                : _writer.Node("Cast", $"{name}/{function}/Cast", [value], GraphWriter.Attribute("to", (long)_writer.WeightType));
        }
        return (InWeightType("Cos"), InWeightType("Sin"));
    }

    /// <summary>Turns dimension d with dimension d + HeadSize / 2 by the d-th angle.</summary>
    private string WriteRotated(string name, string flat, string headShape, string flatShape, string cos, string sin)
    {
        AttributeProto lastAxis = GraphWriter.Attribute("axis", -1);
        string heads = _writer.Node("Reshape", name + "/heads/Reshape", [flat, headShape]);
        string first = name + "/first";
        string second = name + "/second";
        _writer.Node("", "Split", name + "/Split", [heads], [first, second], lastAxis);

        string newFirst = _writer.Node("Sub", name + "/Sub", [Times(first, cos, "1"), Times(second, sin, "2")]);
        string newSecond = _writer.Node("Add", name + "/Add", [Times(second, cos, "3"), Times(first, sin, "4")]);
        string turned = _writer.Node("Concat", name + "/Concat", [newFirst, newSecond], lastAxis);
        return _writer.Node("Reshape", name + "/flat/Reshape", [turned, flatShape]);

        string Times(string a, string b, string suffix) => _writer.Node("Mul", $"{name}/Mul_{suffix}", [a, b]);
    }

    private string WriteAttention(int layer, string name, string query, string key, string value, string lastKeys, string totalKeys)
    {
        string node = name + "/GroupQueryAttention";
        string output = node + "/output_0";
        string[] past = [$"past_key_values.{layer}.key", $"past_key_values.{layer}.value"];
        string[] present = [$"present.{layer}.key", $"present.{layer}.value"];
        for (int i = 0; i < 2; i++)
        {
            _writer.Input(past[i], _writer.WeightType, Batch, _config.KvHeads, Past, _config.HeadSize);
            _writer.Output(present[i], _writer.WeightType, Batch, _config.KvHeads, Total, _config.HeadSize);
        }
        _writer.Node(
            GraphWriter.MicrosoftDomain, "GroupQueryAttention", node,
            [query, key, value, .. past, lastKeys, totalKeys],
            [output, .. present],
            GraphWriter.Attribute("num_heads", _config.Heads),
            GraphWriter.Attribute("kv_num_heads", _config.KvHeads),
            GraphWriter.Attribute("scale", 1 / MathF.Sqrt(_config.HeadSize)),
            GraphWriter.Attribute("local_window_size", -1),
            GraphWriter.Attribute("do_rotary", 0),
            GraphWriter.Attribute("rotary_interleaved", 0));

        // Once the node is a custom operator, ONNX Runtime 1.18 to 1.23 no longer infers this, and an unknown value shape makes them take
        // the next layer's attention for one with packed inputs. Exported models state all their shapes, too.
        _writer.Annotate(output, _writer.WeightType, Batch, Sequence, _config.Heads * _config.HeadSize);
        if (_config.ExportQueries)
        {
            _writer.Node("", "Identity", name + "/query/Identity", [query], [$"query.{layer}"]);
            _writer.Output($"query.{layer}", _writer.WeightType, Batch, Sequence, _config.Heads * _config.HeadSize);
        }
        return output;
    }

    /// <summary>down(silu(gate(x)) * up(x))</summary>
    private string WriteFeedForward(string name, string x, int layer)
    {
        string gate = WriteProjection(name + "/gate_proj", x, _weights.Gate(layer));
        string up = WriteProjection(name + "/up_proj", x, _weights.Up(layer));
        string sigmoid = _writer.Node("Sigmoid", name + "/act_fn/Sigmoid", [gate]);
        string silu = _writer.Node("Mul", name + "/act_fn/Mul", [gate, sigmoid]);
        string product = _writer.Node("Mul", name + "/Mul", [silu, up]);
        return WriteProjection(name + "/down_proj", product, _weights.Down(layer));
    }

    /// <summary>Root-mean-square normalization of each row, times a weight.</summary>
    private string WriteNorm(string name, string x)
    {
        // Contributed by ONNX Runtime, but registered in ONNX's own domain. Its sibling that adds the residual in the same node
        // gave wrong rows on ONNX Runtime 1.18 (with memory patterns, from the second run on).
        string weight = _writer.Weights(ParameterName(name) + ".weight", [_config.Hidden], _weights.Norm(name));
        return _writer.Node(
            "SimplifiedLayerNormalization", name + "/LayerNorm", [x, weight],
            GraphWriter.Attribute("epsilon", _config.RmsEpsilon), GraphWriter.Attribute("axis", -1), GraphWriter.Attribute("stash_type", 1));
    }

    private string WriteProjection(string name, string x, Projection weights)
    {
        string product = _writer.Node("MatMul", name + "/MatMul", [x, Matrix(name, weights)]);
        return weights.Bias is null
            ? product
            : _writer.Node("Add", name + "/Add", [product, _writer.Weights(ParameterName(name) + ".bias", [weights.Columns], weights.Bias)]);
    }

    private string Matrix(string name, Projection weights) =>
        _writer.Weights(ParameterName(name) + ".weight", [weights.Rows, weights.Columns], weights.Matrix);

    /// <summary>/model/layers.0/mlp to model.layers.0.mlp.</summary>
    private static string ParameterName(string name) => name[1..].Replace('/', '.');
}
