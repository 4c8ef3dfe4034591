using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>Reads query, key and value: sets sizes and views of a problem, whose number of heads is known. Key and Value are then the new rows alone.</summary>
internal static unsafe class TokenInputs
{
    public const int Query = 0, Key = 1, Value = 2;

    /// <summary>Separate inputs query [B, S, H * D], key [B, new, K * D] and, if <paramref name="values"/>, value [B, new, K * Dv].</summary>
    /// <returns>New keys.</returns>
    public static int ReadSeparate(in KernelContext context, ElementType type, bool values, ref AttentionProblem problem)
    {
        TensorArgument query = Argument.Required(context, Query, "query");
        TensorArgument key = Argument.Required(context, Key, "key");
        Argument.CheckShape(query, "query", "[B, S, num_heads * D]", Argument.Any, Argument.Any, Argument.Any);
        int batch = problem.Batch = Argument.Dimension(query, "query", 0), rows = problem.QueryLength = Argument.Dimension(query, "query", 1);
        int size = problem.HeadSize = Argument.HeadSize(query, "query", "num_heads", problem.Heads);
        Argument.CheckShape(key, "key", "[B, new keys, kv_num_heads * D]", batch, Argument.Any, (long)problem.KvHeads * size);
        int newKeys = Argument.Dimension(key, "key", 1);
        problem.Query = TensorView.Bshd(query.Data, type, problem.Heads, rows, size);
        problem.Key = TensorView.Bshd(key.Data, type, problem.KvHeads, newKeys, size);
        if (values)
        {
            TensorArgument value = Argument.Required(context, Value, "value");
            Argument.CheckShape(value, "value", "[B, new keys, kv_num_heads * Dv]", batch, newKeys, Argument.Any);
            problem.ValueHeadSize = Argument.HeadSize(value, "value", "kv_num_heads", problem.KvHeads);
            problem.Value = TensorView.Bshd(value.Data, type, problem.KvHeads, newKeys, problem.ValueHeadSize);
        }
        return newKeys;
    }

    /// <summary>All in input query [B, S, (H + 2 K) * D]: of each row the query's heads, then the keys', then the values'.</summary>
    /// <returns>New keys.</returns>
    public static int ReadPacked(in KernelContext context, ElementType type, ref AttentionProblem problem)
    {
        TensorArgument query = Argument.Required(context, Query, "query");
        Argument.CheckShape(query, "query", "[B, S, (num_heads + 2 * kv_num_heads) * D]", Argument.Any, Argument.Any, Argument.Any);
        if (context.TryGetInput(Value, out _))
        {
            throw Argument.Error("input 'value' is given without 'key', expected both or neither (all packed into 'query')");
        }
        problem.Batch = Argument.Dimension(query, "query", 0);
        int rows = problem.QueryLength = Argument.Dimension(query, "query", 1), heads = problem.Heads + (2 * problem.KvHeads);
        int size = problem.HeadSize = problem.ValueHeadSize = Argument.HeadSize(query, "query", "num_heads + 2 * kv_num_heads", heads);
        problem.Query = Heads(0);
        problem.Key = Heads(problem.Heads);
        problem.Value = Heads(problem.Heads + problem.KvHeads);
        return rows;

        TensorView Heads(int first) =>
            new((byte*)query.Data + ((long)first * size * type.Size()), type, (long)rows * heads * size, size, (long)heads * size);
    }
}
