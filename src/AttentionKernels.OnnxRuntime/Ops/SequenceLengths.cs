using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>How many keys there are, and where the new ones and the query rows stand among them.</summary>
/// <remarks>
/// As in com.microsoft::GroupQueryAttention: seqlens_k[b] + 1 keys are valid. If the call's new keys are all the keys there are (a prompt),
/// they start at position 0, and shorter elements are padded on the right; otherwise they end at the last valid key. Rows start at position 0
/// if there are as many as keys, otherwise they end at the last valid key. Without seqlens_k all keys are valid; without
/// total_sequence_length there are past + new keys.
/// </remarks>
internal readonly struct SequenceLengths
{
    /// <summary>Keys of the call, T.</summary>
    public required int Keys { get; init; }

    /// <summary>New keys.</summary>
    public required int NewKeys { get; init; }

    /// <summary>Reads and checks seqlens_k and total_sequence_length, and sets the problem's keys and positions.</summary>
    /// <param name="context">Node.</param>
    /// <param name="lengthsIndex">Position of input seqlens_k [B] int32.</param>
    /// <param name="totalIndex">Position of input total_sequence_length, one int32.</param>
    /// <param name="problem">Its batch and rows are known; receives KeyLength, KeyLengths and QueryOffsets.</param>
    /// <param name="newKeys">Rows of input key.</param>
    /// <param name="past">Room in past_key; 0 without one.</param>
    /// <param name="memory">[2, B] for the arrays.</param>
    public static unsafe SequenceLengths Read(
        in KernelContext context, int lengthsIndex, int totalIndex, ref AttentionProblem problem, int newKeys, int past, int* memory)
    {
        int keys = ReadTotal(context, totalIndex, newKeys, past);
        SequenceLengths lengths = new() { Keys = keys, NewKeys = newKeys };
        problem.KeyLength = lengths.Keys;
        problem.KeyLengths = memory;
        problem.QueryOffsets = memory + problem.Batch;
        Span<int> keyLengths = new(problem.KeyLengths, problem.Batch), queryOffsets = new(problem.QueryOffsets, problem.Batch);

        bool listed = context.TryGetInput(lengthsIndex, out TensorArgument seqlens);
        if (listed && (seqlens.ElementCount != keyLengths.Length || seqlens.Rank is not (1 or 2)))
        {
            Argument.CheckShape(seqlens, "seqlens_k", "[B]", keyLengths.Length);
        }
        int fewest = lengths.IsPrompt ? 0 : newKeys, most = lengths.Keys;
        for (int b = 0; b < keyLengths.Length; b++)
        {
            long valid = listed ? (long)((int*)seqlens.Data)[b] + 1 : keys;
            if (valid < fewest || valid > most)
            {
                throw Argument.Error($"input 'seqlens_k' has {valid - 1} at {b}, expected {fewest - 1}..{most - 1} (valid keys - 1)");
            }
            keyLengths[b] = (int)valid;
            queryOffsets[b] = problem.QueryLength == lengths.Keys ? 0 : (int)valid - problem.QueryLength;
        }
        return lengths;
    }

    /// <summary>Reads and checks total_sequence_length, past and new keys together where it is not given.</summary>
    public static unsafe int ReadTotal(in KernelContext context, int totalIndex, int newKeys, int past)
    {
        long keys = (long)past + newKeys;
        if (context.TryGetInput(totalIndex, out TensorArgument total))
        {
            if (total.ElementCount != 1)
            {
                throw Argument.Error($"input 'total_sequence_length' has {total.ElementCount} elements, expected 1");
            }
            int given = *(int*)total.Data;
            if (given < newKeys || given > keys)
            {
                throw Argument.Error($"input 'total_sequence_length' is {given}, expected {newKeys}..{keys}: {newKeys} new keys and room for {past} past ones");
            }
            keys = given;
        }
        return keys <= AttentionProblem.MaxLength ? (int)keys
            : throw Argument.Error($"input 'key' has {newKeys} rows behind {past} past ones, expected at most {AttentionProblem.MaxLength} keys");
    }

    /// <summary>Whether there are no keys but the call's own.</summary>
    public bool IsPrompt => NewKeys == Keys;

    /// <summary>Position of the first new key of an element with <paramref name="valid"/> valid keys.</summary>
    public int FirstNewKey(int valid) => IsPrompt ? 0 : valid - NewKeys;
}
