namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>A GroupQueryAttention node of a model.</summary>
/// <param name="Layer">The decoder layer it belongs to.</param>
/// <param name="Node">The node.</param>
/// <param name="Scope">Where it stands.</param>
internal sealed record AttentionNode(int Layer, NodeProto Node, GraphScope Scope)
{
    /// <summary>The operator that is looked for.</summary>
    public const string OpType = "GroupQueryAttention";

    /// <summary>The node, for messages.</summary>
    public string Description => Describe(Node, Scope);

    /// <summary>
    /// The attention nodes of a model in the order of its layers. A node's layer is the number after "layers" or "blocks" in its name; if
    /// any node has none, the layers are counted in the order of the file.
    /// </summary>
    /// <exception cref="OnnxModelException">There is none, or two of them belong to one layer.</exception>
    public static List<AttentionNode> FindAll(ModelProto model)
    {
        List<(NodeProto Node, GraphScope Scope)> found =
        [
            .. from scope in GraphScope.In(model)
               from node in scope.Nodes
               where node.OpType == OpType && node.Domain == GraphWriter.MicrosoftDomain
               select (node, scope),
        ];
        if (found.Count == 0)
        {
            throw new OnnxModelException($"The model has no {GraphWriter.MicrosoftDomain}::{OpType} node, which is what the rewriter replaces.");
        }

        List<int?> numbers = [.. found.Select(f => LayerName.Find(f.Node.Name))];
        bool named = numbers.TrueForAll(number => number is not null);
        List<AttentionNode> nodes = [.. found.Select((f, i) => new AttentionNode(named ? numbers[i]!.Value : i, f.Node, f.Scope)).OrderBy(n => n.Layer)];
        for (int i = 1; i < nodes.Count; i++)
        {
            if (nodes[i].Layer == nodes[i - 1].Layer)
            {
                throw new OnnxModelException($"Layer {nodes[i].Layer} has two {OpType} nodes, expected one: {nodes[i - 1].Description} and {nodes[i].Description}.");
            }
        }
        return nodes;
    }

    private static string Describe(NodeProto node, GraphScope scope) =>
        scope.Place is null ? $"node '{node.Name}'" : $"node '{node.Name}' in {scope.Place}";
}
