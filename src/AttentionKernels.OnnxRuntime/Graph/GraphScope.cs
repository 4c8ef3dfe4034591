namespace AttentionKernels.OnnxRuntime.Graph;

/// <summary>A list of nodes of a model: the main graph, the body of an If or a Loop, or a function.</summary>
/// <param name="Nodes">The nodes.</param>
/// <param name="Graph">The graph that holds them; null for a function.</param>
/// <param name="Place">Where that is, for messages: "subgraph 'then_branch' of node 'x' (If)"; null for the main graph.</param>
internal sealed record GraphScope(IReadOnlyList<NodeProto> Nodes, GraphProto? Graph, string? Place)
{
    /// <summary>Every scope of a model, the main graph first.</summary>
    public static IEnumerable<GraphScope> In(ModelProto model)
    {
        GraphScope main = new(model.Graph.Node, model.Graph, null);
        IEnumerable<GraphScope> functions = model.Functions.Select(f => new GraphScope(f.Node, null, $"function '{f.Name}'"));
        return new[] { main }.Concat(functions).SelectMany(scope => scope.WithNested());
    }

    /// <summary>Every constant of the scope, those inside attributes included.</summary>
    public IEnumerable<TensorProto> Tensors()
    {
        IEnumerable<AttributeProto> attributes = Nodes.SelectMany(node => node.Attribute);
        IEnumerable<SparseTensorProto?> sparse = attributes.SelectMany(a => a.SparseTensors.Append(a.SparseTensor)).Concat(Graph?.SparseInitializer ?? []);
        return attributes.SelectMany(a => a.Tensors.Append(a.T))
            .Concat(Graph?.Initializer ?? [])
            .Concat(sparse.SelectMany(s => new[] { s?.Values, s?.Indices }))
            .OfType<TensorProto>();
    }

    /// <summary>The name of every value that the scope defines.</summary>
    public IEnumerable<string> Values() => Nodes.SelectMany(node => node.Output)
        .Concat(Graph?.Input.Select(value => value.Name) ?? [])
        .Concat(Graph?.Initializer.Select(tensor => tensor.Name) ?? []);

    private IEnumerable<GraphScope> WithNested()
    {
        // As deep as the file nests, which the protobuf reader limits.
        yield return this;
        foreach (NodeProto node in Nodes)
        {
            foreach (AttributeProto attribute in node.Attribute)
            {
                foreach (GraphProto body in attribute.Graphs.Append(attribute.G).OfType<GraphProto>())
                {
                    GraphScope nested = new(body.Node, body, $"subgraph '{attribute.Name}' of node '{node.Name}' ({node.OpType})");
                    foreach (GraphScope scope in nested.WithNested())
                    {
                        yield return scope;
                    }
                }
            }
        }
    }
}
