using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>Reads query, key and value in the layouts of com.microsoft::MultiHeadAttention. Key and Value are then the new rows alone.</summary>
internal static unsafe class MultiHeadTokens
{
    private const long Any = Argument.Any;

    /// <returns>New keys.</returns>
    public static int Read(in KernelContext context, ElementType type, ref AttentionProblem problem)
    {
        TensorArgument query = Argument.Required(context, TokenInputs.Query, "query");
        bool hasKey = context.TryGetInput(TokenInputs.Key, out TensorArgument key), hasValue = context.TryGetInput(TokenInputs.Value, out TensorArgument value);
        if (query.Rank == 5)
        {
            if (hasKey || hasValue)
            {
                throw Argument.Error($"input '{(hasKey ? "key" : "value")}' is given with a packed 'query' of 5 dimensions, expected none");
            }
            return ReadPacked(query, type, ref problem);
        }
        if (hasKey && key.Rank == 3)
        {
            return TokenInputs.ReadSeparate(context, type, values: true, ref problem);
        }
        Argument.CheckShape(query, "query", "[B, S, num_heads * D] or [B, S, num_heads, 3, D]", Any, Any, Any);
        if (!hasKey)
        {
            throw Argument.Error("input 'key' is missing, expected it with a 'query' of 3 dimensions");
        }
        problem.Batch = Argument.Dimension(query, "query", 0);
        problem.QueryLength = Argument.Dimension(query, "query", 1);
        problem.HeadSize = Argument.HeadSize(query, "query", "num_heads", problem.Heads);
        problem.Query = TensorView.Bshd(query.Data, type, problem.Heads, problem.QueryLength, problem.HeadSize);
        if (key.Rank == 5)
        {
            return hasValue
                ? throw Argument.Error("input 'value' is given with a packed 'key' of 5 dimensions, expected none")
                : ReadPackedKeys(key, type, ref problem);
        }
        return hasValue
            ? ReadHeadsFirst(context, key, value, type, ref problem)
            : throw Argument.Error("input 'value' is missing, expected it with a 'key' of 3 or 4 dimensions");
    }

    /// <summary>query [B, S, H, 3, D]: of each head its query, key and value.</summary>
    private static int ReadPacked(in TensorArgument query, ElementType type, ref AttentionProblem problem)
    {
        Argument.CheckShape(query, "query", "[B, S, num_heads, 3, D]", Any, Any, problem.Heads, 3, Any);
        problem.Batch = Argument.Dimension(query, "query", 0);
        int rows = problem.QueryLength = Argument.Dimension(query, "query", 1);
        problem.HeadSize = problem.ValueHeadSize = Argument.HeadSize(query, "query", 4);
        problem.Query = Part(query, type, 0, 3, rows, problem);
        problem.Key = Part(query, type, 1, 3, rows, problem);
        problem.Value = Part(query, type, 2, 3, rows, problem);
        return rows;
    }

    /// <summary>key [B, L, H, 2, D]: of each head its key and value.</summary>
    private static int ReadPackedKeys(in TensorArgument key, ElementType type, ref AttentionProblem problem)
    {
        Argument.CheckShape(key, "key", "[B, new keys, num_heads, 2, D]", problem.Batch, Any, problem.Heads, 2, problem.HeadSize);
        int newKeys = Argument.Dimension(key, "key", 1);
        problem.ValueHeadSize = problem.HeadSize;
        problem.Key = Part(key, type, 0, 2, newKeys, problem);
        problem.Value = Part(key, type, 1, 2, newKeys, problem);
        return newKeys;
    }

    /// <summary>key [B, H, L, D] and value [B, H, L, Dv], projected once for all steps of a cross-attention: there is no past beside them.</summary>
    private static int ReadHeadsFirst(in KernelContext context, in TensorArgument key, in TensorArgument value, ElementType type, ref AttentionProblem problem)
    {
        Argument.CheckShape(key, "key", "[B, num_heads, new keys, D], [B, new keys, num_heads * D] or [B, new keys, num_heads, 2, D]", problem.Batch, problem.Heads, Any, problem.HeadSize);
        int newKeys = Argument.Dimension(key, "key", 2);
        Argument.CheckShape(value, "value", "[B, num_heads, new keys, Dv], as 'key'", problem.Batch, problem.Heads, newKeys, Any);
        problem.ValueHeadSize = Argument.HeadSize(value, "value", 3);
        if (context.TryGetInput(MultiHeadAttentionOp.PastKey, out _))
        {
            throw Argument.Error("input 'past_key' is given with a 'key' of 4 dimensions, expected none");
        }
        problem.Key = TensorView.Bhsd(key.Data, type, problem.Heads, newKeys, problem.HeadSize);
        problem.Value = TensorView.Bhsd(value.Data, type, problem.Heads, newKeys, problem.ValueHeadSize);
        return newKeys;
    }

    /// <summary>Part <paramref name="index"/> of <paramref name="parts"/> in [B, rows, H, parts, D].</summary>
    private static TensorView Part(in TensorArgument tensor, ElementType type, int index, int parts, int rows, in AttentionProblem problem)
    {
        long head = (long)parts * problem.HeadSize, row = head * problem.Heads;
        return new TensorView((byte*)tensor.Data + ((long)index * problem.HeadSize * type.Size()), type, row * rows, head, row);
    }
}
