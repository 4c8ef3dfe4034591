using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.OnnxRuntime.Ops;
using Google.Protobuf;

namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>
/// Replaces the <c>com.microsoft::GroupQueryAttention</c> nodes of chosen layers by <c>ai.attentionkernels::SteeredAttention</c>. Weights,
/// cache and everything else of the model stay as they are.
/// </summary>
/// <remarks>
/// The model gets the graph inputs <c>token_modality</c> uint8 [batch, total], <c>token_speakers</c> int64 [batch, total] and
/// <c>token_frames</c> int32 [batch, total, 2], which all replaced layers share, where total counts past tokens, too; and per
/// replaced layer i the graph outputs <c>head_scores.{i}</c> float [batch, heads] and <c>alignment.{i}</c> float [batch, heads, 4] (mean
/// before, mean after, max before, max after).
/// </remarks>
public static class SteeredAttentionRewriter
{
    private const string OpType = "SteeredAttention";

    // Both operators have the same inputs up to head_sink.
    private const int SharedInputs = SteeredAttentionOp.TokenModality;

    // Both have the same first three outputs.
    private const int SharedOutputs = SteeredAttentionOp.HeadScores;

    private static readonly string[] RoleInputs = ["token_modality", "token_speakers", "token_frames"];

    private static readonly HashSet<string> CarriedAttributes =
        ["num_heads", "kv_num_heads", "scale", "softcap", "local_window_size", "do_rotary", "rotary_interleaved", "causal"];

    /// <summary>Rewrites a model.</summary>
    /// <param name="model">The content of a .onnx file.</param>
    /// <param name="steering">What to write; null: the defaults, in all layers.</param>
    /// <exception cref="OnnxModelException">
    /// The bytes are no ONNX model, no node matches, or a node uses what SteeredAttention does not have; the message names the node.
    /// </exception>
    public static RewrittenModel Rewrite(ReadOnlySpan<byte> model, SteeringRewrite? steering = null) =>
        Rewrite(OnnxFile.Parse(model, "The model"), steering ?? new SteeringRewrite());

    /// <summary>Rewrites the model in a file and leaves the file as it is.</summary>
    /// <param name="path">The .onnx file.</param>
    /// <param name="steering">What to write; null: the defaults, in all layers.</param>
    /// <exception cref="OnnxModelException">The file cannot be read, and what <see cref="Rewrite(ReadOnlySpan{byte}, SteeringRewrite?)"/> refuses.</exception>
    public static RewrittenModel Rewrite(string path, SteeringRewrite? steering = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return Rewrite(OnnxFile.Load(path), steering ?? new SteeringRewrite());
    }

    /// <summary>Rewrites the model in a file into another file.</summary>
    /// <param name="path">The .onnx file.</param>
    /// <param name="outputPath">
    /// The file to write. A model that keeps weights in files of their own names them relative to its folder, and ONNX Runtime
    /// accepts no others: then it has to lie in the folder of <paramref name="path"/>.
    /// </param>
    /// <param name="steering">What to write; null: the defaults, in all layers.</param>
    /// <exception cref="OnnxModelException">
    /// <paramref name="outputPath"/> cannot be written, lies in the wrong folder, or is one of the files read; and what
    /// <see cref="Rewrite(string, SteeringRewrite?)"/> refuses.
    /// </exception>
    public static RewrittenModel RewriteFile(string path, string outputPath, SteeringRewrite? steering = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(outputPath);
        RewrittenModel rewritten = Rewrite(path, steering);

        string source = Path.GetFullPath(path);
        string target = Path.GetFullPath(outputPath);
        string folder = Path.GetDirectoryName(source)!;
        if (rewritten.ExternalData.Count > 0 && Path.GetDirectoryName(target) != folder)
        {
            throw new OnnxModelException(
                $"'{path}' keeps weights in '{rewritten.ExternalData[0]}', which is found from its own folder only: write the result into '{folder}', not to '{outputPath}'.");
        }
        if (target == source || rewritten.ExternalData.Any(file => Path.GetFullPath(file, folder) == target))
        {
            throw new OnnxModelException($"Writing '{outputPath}' would overwrite the model '{path}' or its weights: choose another name.");
        }
        OnnxFile.Save(rewritten.Model, target);
        return rewritten;
    }

    private static RewrittenModel Rewrite(ModelProto model, SteeringRewrite steering)
    {
        steering.Check();
        List<AttentionNode> selected = Select(model, steering.Layers);
        List<SteeredLayer> layers = [.. selected.Select(Describe)];
        ImportDomain(model);
        AddGraphValues(model, layers, steering);
        foreach (AttentionNode attention in selected)
        {
            Replace(attention, steering);
        }

        IEnumerable<string> external =
            from scope in GraphScope.In(model)
            from tensor in scope.Tensors()
            where tensor.DataLocation == TensorProto.Types.Location.External
            from entry in tensor.ExternalData
            where entry.Key == "location"
            select entry.Value;
        return new RewrittenModel(model.ToByteArray(), layers, [.. external.Distinct()]);
    }

    private static List<AttentionNode> Select(ModelProto model, LayerRange layers)
    {
        List<AttentionNode> all = AttentionNode.FindAll(model);
        if (layers.FindFault(all[^1].Layer + 1) is string fault)
        {
            throw new OnnxModelException(fault);
        }
        List<AttentionNode> selected = all.FindAll(attention => layers.Contains(attention.Layer));
        if (selected.Count == 0)
        {
            throw new OnnxModelException(
                $"Layers '{layers}': none of them has a {AttentionNode.OpType} node, only layers {string.Join(", ", all.Select(a => a.Layer))} have.");
        }
        foreach (AttentionNode attention in selected)
        {
            if (FindObstacle(attention) is string obstacle)
            {
                throw new OnnxModelException($"Cannot steer {attention.Description}: {obstacle}.");
            }
        }
        return selected;
    }

    /// <summary>What keeps SteeredAttention from taking the node's place, or null.</summary>
    private static string? FindObstacle(AttentionNode attention)
    {
        if (attention.Scope.Place is not null)
        {
            return "its scores could not become outputs of the model from there; export the decoder without If, Loop and functions";
        }
        NodeProto node = attention.Node;
        if (!HasInput(node, 0) || !HasInput(node, 5) || !HasInput(node, 6))
        {
            return "it lacks one of the inputs query, seqlens_k, total_sequence_length";
        }
        if (!HasInput(node, 1) || !HasInput(node, 2))
        {
            return "query, key and value come packed in one input; export the model with separate ones";
        }
        if (HasInput(node, 12) || HasInput(node, 13))
        {
            return "its cache is quantized (inputs k_scale, v_scale)";
        }
        if (HasInput(node, 14) || HasInput(node, 15))
        {
            return "it normalizes queries and keys (inputs q_norm_weight, k_norm_weight)";
        }
        if (node.Input.Skip(16).Any(name => name.Length > 0))
        {
            return "it has more inputs than the 16 that are known";
        }
        if (node.Output.Skip(SharedOutputs).Any(name => name.Length > 0))
        {
            return "its output output_qk is in use, the matrix that SteeredAttention never forms";
        }
        return HeadCount(node) is <= 0 or > int.MaxValue ? "it has no attribute num_heads that could be a number of heads" : node.Attribute.Select(FindObstacle).FirstOrDefault(obstacle => obstacle is not null);
    }

    private static string? FindObstacle(AttributeProto attribute) => attribute.Name switch
    {
        "k_quant_type" or "v_quant_type" => attribute.S.ToStringUtf8() is "" or "NONE" ? null : $"its cache is quantized ({attribute.Name})",
        "kv_cache_bit_width" => attribute.I == 0 ? null : "its cache is quantized (kv_cache_bit_width)",
        "smooth_softmax" => attribute.I == 1 ? "it has a smooth softmax" : null,
        "qk_output" => attribute.I == 0 ? null : "it has a qk_output, the matrix that SteeredAttention never forms",
        "sliding_window_cache" => attribute.I == 0 ? null : "its cache keeps a sliding window only (sliding_window_cache)",
        "qk_norm_epsilon" => null, // Without norm weights it has no effect.
        _ => CarriedAttributes.Contains(attribute.Name) ? null : $"its attribute '{attribute.Name}' is unknown",
    };

    private static void Replace(AttentionNode attention, SteeringRewrite steering)
    {
        NodeProto node = attention.Node;
        node.Domain = AttentionKernelsOps.Domain;
        node.OpType = OpType;

        Resize(node.Input, SharedInputs);
        node.Input.AddRange(RoleInputs);
        if (steering.HeadScoresInput)
        {
            Resize(node.Input, SteeredAttentionOp.HeadScoresIn);
            node.Input.Add(HeadScoresInName(attention.Layer));
        }
        Resize(node.Output, SharedOutputs);
        node.Output.Add([HeadScoresName(attention.Layer), AlignmentName(attention.Layer)]);

        AttributeProto[] carried = [.. node.Attribute.Where(attribute => CarriedAttributes.Contains(attribute.Name))];
        node.Attribute.Clear();
        node.Attribute.Add(carried);
        if (!carried.Any(attribute => attribute.Name == "causal"))
        {
            node.Attribute.Add(GraphWriter.Attribute("causal", 1));
        }
        node.Attribute.Add(
        [
            GraphWriter.Attribute("policy", steering.Policy),
            GraphWriter.Attribute("alpha", steering.Alpha),
            GraphWriter.Attribute("lambda", steering.Lambda),
            GraphWriter.Attribute("clamp_negative", steering.ClampNegative ? 1 : 0),
        ]);
    }

    private static void AddGraphValues(ModelProto model, List<SteeredLayer> layers, SteeringRewrite steering)
    {
        const string batch = "batch_size";
        const string total = "total_sequence_length";
        HashSet<string> taken = [.. GraphScope.In(model).SelectMany(scope => scope.Values())];

        Add(model.Graph.Input, RoleInputs[0], OnnxElementType.UInt8, batch, total);
        Add(model.Graph.Input, RoleInputs[1], OnnxElementType.Int64, batch, total);
        Add(model.Graph.Input, RoleInputs[2], OnnxElementType.Int32, batch, total, 2);
        foreach (SteeredLayer layer in layers)
        {
            if (steering.HeadScoresInput)
            {
                Add(model.Graph.Input, HeadScoresInName(layer.Index), OnnxElementType.Float, batch, layer.Heads);
            }
            Add(model.Graph.Output, HeadScoresName(layer.Index), OnnxElementType.Float, batch, layer.Heads);
            Add(model.Graph.Output, AlignmentName(layer.Index), OnnxElementType.Float, batch, layer.Heads, 4);
        }

        void Add(IList<ValueInfoProto> values, string name, OnnxElementType type, params ReadOnlySpan<object> shape)
        {
            if (!taken.Add(name))
            {
                throw new OnnxModelException($"The model has a value named '{name}' already: has it been rewritten before? Rewrite the original.");
            }
            values.Add(GraphWriter.Value(name, type, shape));
        }
    }

    private static void ImportDomain(ModelProto model)
    {
        if (model.OpsetImport.Any(opset => opset.Domain == AttentionKernelsOps.Domain))
        {
            throw new OnnxModelException($"The model imports the domain {AttentionKernelsOps.Domain} already: has it been rewritten before? Rewrite the original.");
        }
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = AttentionKernelsOps.Domain, Version = 1 });
    }

    private static SteeredLayer Describe(AttentionNode attention) => new(attention.Layer, attention.Node.Name, (int)HeadCount(attention.Node));

    private static long HeadCount(NodeProto node) => node.Attribute.FirstOrDefault(attribute => attribute.Name == "num_heads")?.I ?? 0;

    private static bool HasInput(NodeProto node, int index) => index < node.Input.Count && node.Input[index].Length > 0;

    /// <summary>Cuts the list, or fills it with names of skipped values.</summary>
    private static void Resize(IList<string> names, int count)
    {
        while (names.Count > count)
        {
            names.RemoveAt(names.Count - 1);
        }
        while (names.Count < count)
        {
            names.Add("");
        }
    }

    private static string HeadScoresInName(int layer) => $"head_scores_in.{layer}";

    private static string HeadScoresName(int layer) => $"head_scores.{layer}";

    private static string AlignmentName(int layer) => $"alignment.{layer}";
}
