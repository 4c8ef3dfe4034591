using System.Text.RegularExpressions;
using AttentionKernels.OnnxRuntime;
using AttentionKernels.OnnxRuntime.Interop;
using AttentionKernels.Tests.OnnxRuntime.Interop;

namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>
/// One node of each operator with every input there is, for tests that change one thing: B = 2, H = 4, K = 2, S = 3 new rows, room for 5 past ones,
/// T = 7 (7 and 6 valid), D = 4, Dv = 6, three speakers.
/// </summary>
internal static class SmallNodes
{
    public const int Batch = 2, Heads = 4, KvHeads = 2, Rows = 3, Past = 5, Keys = 7, Size = 4, ValueSize = 6;

    public static OpNode SteeredAttention()
    {
        OpNode node = new()
        {
            Op = "SteeredAttention",
            Outputs = ["output", "present_key", "present_value", "head_scores", "alignment"],
            RanksKnown = false,
            Threads = 1,
            Attributes = new Dictionary<string, object>
            {
                ["num_heads"] = (long)Heads,
                ["kv_num_heads"] = (long)KvHeads,
                ["scale"] = 0.7f,
                ["softcap"] = 20f,
                ["local_window_size"] = 6L,
                ["causal"] = 1L,
                ["do_rotary"] = 1L,
                ["rotary_interleaved"] = 0L,
                ["alpha"] = 0.8f,
                ["lambda"] = 0.5f,
                ["clamp_negative"] = 0L,
                ["policy"] = "social",
                ["num_speakers"] = 3L,
            },
        };
        return node
            .Add(Wave(Batch * Rows * Heads * Size, 1), Batch, Rows, Heads * Size)
            .Add(Wave(Batch * Rows * KvHeads * Size, 2), Batch, Rows, KvHeads * Size)
            .Add(Wave(Batch * Rows * KvHeads * ValueSize, 3), Batch, Rows, KvHeads * ValueSize)
            .Add(Wave(Batch * KvHeads * Past * Size, 4), Batch, KvHeads, Past, Size)
            .Add(Wave(Batch * KvHeads * Past * ValueSize, 5), Batch, KvHeads, Past, ValueSize)
            .Add<int>([6, 5], Batch)
            .Add<int>([Keys], 1)
            .Add(Wave(16 * Size / 2, 6), 16, Size / 2)
            .Add(Wave(16 * Size / 2, 7), 16, Size / 2)
            .Add<long>([4, 5, 6, 3, 4, 15], Batch, Rows)
            .Add(Wave(Heads * Rows * Keys, 8), 1, Heads, Rows, Keys)
            .Add(Wave(Heads, 9), Heads)
            .Add(Modality(Keys), Batch, Keys)
            .Add(Speakers(Keys), Batch, Keys)
            .Add(Frames(Keys), Batch, Keys, 2)
            .Add(new byte[Batch * Rows], Batch, Rows)
            .Add(Speakers(Rows), Batch, Rows)
            .Add(Frames(Rows), Batch, Rows, 2)
            .Add<float>([1, 0, 1, 0, 0, 1, 0, 1], Batch, Heads);
    }

    /// <summary>Every input of com.microsoft::GroupQueryAttention that this library takes, with Dv = D.</summary>
    public static OpNode GroupQueryAttention()
    {
        OpNode node = new()
        {
            Op = "GroupQueryAttention",
            Domain = "com.microsoft",
            Overrides = AttentionOverrides.GroupQueryAttention,
            Outputs = ["output", "present_key", "present_value", "output_qk"],
            RanksKnown = false,
            Threads = 1,
            Attributes = new Dictionary<string, object>
            {
                ["num_heads"] = (long)Heads,
                ["kv_num_heads"] = (long)KvHeads,
                ["scale"] = 0.7f,
                ["softcap"] = 20f,
                ["local_window_size"] = 6L,
                ["causal"] = 1L,
                ["do_rotary"] = 1L,
                ["rotary_interleaved"] = 0L,
                ["smooth_softmax"] = 0L,
                ["qk_output"] = 1L,
            },
        };
        return node
            .Add(Wave(Batch * Rows * Heads * Size, 1), Batch, Rows, Heads * Size)
            .Add(Wave(Batch * Rows * KvHeads * Size, 2), Batch, Rows, KvHeads * Size)
            .Add(Wave(Batch * Rows * KvHeads * Size, 3), Batch, Rows, KvHeads * Size)
            .Add(Wave(Batch * KvHeads * Past * Size, 4), Batch, KvHeads, Past, Size)
            .Add(Wave(Batch * KvHeads * Past * Size, 5), Batch, KvHeads, Past, Size)
            .Add<int>([6, 5], Batch)
            .Add<int>([Keys], 1)
            .Add(Wave(16 * Size / 2, 6), 16, Size / 2)
            .Add(Wave(16 * Size / 2, 7), 16, Size / 2)
            .Add<long>([4, 5, 6, 3, 4, 15], Batch, Rows)
            .Add(Wave(Heads * Rows * Keys, 8), 1, Heads, Rows, Keys)
            .Add(Wave(Heads, 9), Heads);
    }

    /// <summary>Every input of com.microsoft::MultiHeadAttention that this library takes: H = 4, S = 3 new rows, past 5 of which 4 are valid, so T = 7, D = Dv = 4.</summary>
    public static OpNode MultiHeadAttention()
    {
        OpNode node = new()
        {
            Op = "MultiHeadAttention",
            Domain = "com.microsoft",
            Overrides = AttentionOverrides.MultiHeadAttention,
            Outputs = ["output", "present_key", "present_value", "qk"],
            RanksKnown = false,
            Threads = 1,
            Attributes = new Dictionary<string, object>
            {
                ["num_heads"] = (long)Heads,
                ["scale"] = 0.7f,
                ["unidirectional"] = 1L,
                ["mask_filter_value"] = -500f,
            },
        };
        return node
            .Add(Wave(Batch * Rows * Heads * Size, 1), Batch, Rows, Heads * Size)
            .Add(Wave(Batch * Rows * Heads * Size, 2), Batch, Rows, Heads * Size)
            .Add(Wave(Batch * Rows * Heads * Size, 3), Batch, Rows, Heads * Size)
            .Add(Wave(3 * Heads * Size, 4), 3 * Heads * Size)
            .Add<int>([1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1], Batch, Keys)
            .Add(Wave(Heads * Rows * Keys, 5), 1, Heads, Rows, Keys)
            .Add(Wave(Batch * Heads * Past * Size, 6), Batch, Heads, Past, Size)
            .Add(Wave(Batch * Heads * Past * Size, 7), Batch, Heads, Past, Size)
            .Add<int>([4], 1);
    }

    /// <summary>The node of an operator.</summary>
    public static OpNode Of(string op) => op switch
    {
        "SteeredAttention" => SteeredAttention(),
        "CrossModalHeadScores" => CrossModalHeadScores(),
        "GroupQueryAttention" => GroupQueryAttention(),
        _ => MultiHeadAttention(),
    };

    public static OpNode CrossModalHeadScores()
    {
        OpNode node = new()
        {
            Op = "CrossModalHeadScores",
            Outputs = ["head_scores", "speaker_scores"],
            RanksKnown = false,
            Threads = 1,
            Attributes = new Dictionary<string, object>
            {
                ["num_heads"] = (long)Heads,
                ["kv_num_heads"] = (long)KvHeads,
                ["scale"] = 0.7f,
                ["softcap"] = 20f,
                ["local_window_size"] = 6L,
                ["causal"] = 1L,
                ["num_speakers"] = 3L,
            },
        };
        return node
            .Add(Wave(Batch * Rows * Heads * Size, 1), Batch, Rows, Heads * Size)
            .Add(Wave(Batch * Rows * KvHeads * Size, 2), Batch, Rows, KvHeads * Size)
            .Add(Wave(Batch * KvHeads * Past * Size, 4), Batch, KvHeads, Past, Size)
            .Add<int>([6, 5], Batch)
            .Add<int>([Keys], 1)
            .Add(Modality(Keys), Batch, Keys)
            .Add(Speakers(Keys), Batch, Keys)
            .Add(Frames(Keys), Batch, Keys, 2)
            .Add(new byte[Batch * Rows], Batch, Rows)
            .Add(Speakers(Rows), Batch, Rows)
            .Add(Frames(Rows), Batch, Rows, 2);
    }

    /// <summary>Name, type and shape of every output of a session of one node, as its operator infers them.</summary>
    public static string[] InferredShapes(
        string op, Dictionary<string, object> attributes, (string Name, OnnxElementType Type, object?[]? Shape)[] inputs, (string Name, OnnxElementType Type)[] outputs)
    {
        OneNodeModel model = new()
        {
            Domain = AttentionKernelsOps.Domain,
            Op = op,
            Attributes = attributes,
            NodeInputs = [.. inputs.Select(i => i.Type == OnnxElementType.Undefined ? "" : i.Name)],
            NodeOutputs = [.. outputs.Select(o => o.Name)],
            GraphInputs = [.. inputs.Where(i => i.Type != OnnxElementType.Undefined)],
            GraphOutputs = [.. outputs.Select(o => (o.Name, o.Type, (object?[]?)null))],
        };
        using OrtSessionOptions options = new() { IntraOpThreads = 1 };
        AttentionKernelsOps.Register(options);
        using OrtSession session = new(model.ToBytes(), options);
        // A dimension that nobody knows has a name of its own.
        return [.. session.Outputs.Select(o => Regex.Replace($"{o.Name} {o.Type}", @"attention_kernels_unknown_\d+", "?"))];
    }

    /// <summary>Numbers between -1.5 and 1.5 without a pattern.</summary>
    private static float[] Wave(int count, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 3) - 1.5f)];
    }

    private static byte[] Modality(int length) => [.. Enumerable.Range(0, Batch * length).Select(i => (byte)(i % length < 4 ? 1 : 0))];

    private static long[] Speakers(int length) => [.. Enumerable.Range(0, Batch * length).Select(i => 1L << (i % 3))];

    private static int[] Frames(int length) => [.. Enumerable.Range(0, Batch * length).SelectMany(i => new[] { i % 2, 2 })];
}
