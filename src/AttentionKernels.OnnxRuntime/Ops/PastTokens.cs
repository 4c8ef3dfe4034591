using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>past_key and past_value: [B, KvHeads, <see cref="Rows"/>, D or Dv], of which any number of rows may be valid.</summary>
internal readonly unsafe struct PastTokens
{
    /// <summary>Null: none.</summary>
    public void* Key { get; private init; }

    /// <summary>Null: none.</summary>
    public void* Value { get; private init; }

    /// <summary>Room; 0 without a past.</summary>
    public int Rows { get; private init; }

    /// <summary>Whether the node gives a past, be it one without rows.</summary>
    public bool IsGiven => Key != null;

    /// <summary>Reads and checks input past_key at <paramref name="keyIndex"/> and, unless the problem has no values, past_value behind it.</summary>
    public static PastTokens Read(in KernelContext context, int keyIndex, ElementType type, in AttentionProblem problem)
    {
        bool given = context.TryGetInput(keyIndex, out TensorArgument key);
        TensorArgument value = default;
        if (!problem.Value.IsEmpty)
        {
            Argument.CheckPair(given, "past_key", context.TryGetInput(keyIndex + 1, out value), "past_value");
        }
        if (!given)
        {
            return default;
        }
        Argument.CheckType(key, "past_key", type);
        Argument.CheckShape(key, "past_key", "[B, kv_num_heads, past, D]", problem.Batch, problem.KvHeads, Argument.Any, problem.HeadSize);
        int rows = Argument.Dimension(key, "past_key", 2);
        if (!problem.Value.IsEmpty)
        {
            Argument.CheckType(value, "past_value", type);
            Argument.CheckShape(value, "past_value", "[B, kv_num_heads, past, Dv], as past_key", problem.Batch, problem.KvHeads, rows, problem.ValueHeadSize);
        }
        return new PastTokens { Key = key.Data, Value = value.Data, Rows = rows };
    }
}
