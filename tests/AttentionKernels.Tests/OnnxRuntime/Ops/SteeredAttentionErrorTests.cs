namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>
/// Everything that can be wrong with a SteeredAttention node, one row each, starting from <see cref="SmallNodes.SteeredAttention"/>: B = 2, H = 4, K = 2,
/// S = 3, past 5, T = 7, D = 4, Dv = 6.
/// </summary>
public sealed class SteeredAttentionErrorTests
{
    private static readonly Dictionary<string, WrongInput> Rows = new()
    {
        // Tensors
        ["query rank"] = new(n => n.Replace(0, new float[96], 6, 16), "input 'query' has shape [6,16]", "expected [?,?,?]", "[B, S, num_heads * D]"),
        ["query rank 4"] = new(n => n.Replace(0, new float[96], 2, 3, 4, 4), "input 'query' has shape [2,3,4,4]", "expected [?,?,?]"),
        ["query scalar"] = new(n => n.Replace(0, new float[1]), "input 'query' has shape []", "expected [?,?,?]"),
        ["query rank 9"] = new(n => n.Replace(0, new float[1], 1, 1, 1, 1, 1, 1, 1, 1, 1), "input 'query' has shape [1,1,1,1,1,1,1,1,1]", "expected at most 8 dimensions"),
        ["query hidden size"] = new(n => n.Replace(0, new float[84], 2, 3, 14), "input 'query' has shape [2,3,14]", "expected a multiple of num_heads = 4 along axis 2"),
        ["query without hidden size"] = new(n => n.Replace(0, Array.Empty<float>(), 2, 3, 0), "input 'query' has shape [2,3,0]", "num_heads = 4"),
        ["query type"] = new(n => n.Replace(0, new int[96], 2, 3, 16), "tensor(int32)", "input0"),
        ["key rank"] = new(n => n.Replace(1, new float[48], 6, 8), "input 'key' has shape [6,8]", "expected [2,?,8]", "[B, new keys, kv_num_heads * D]"),
        ["key batch"] = new(n => n.Replace(1, new float[24], 1, 3, 8), "input 'key' has shape [1,3,8]", "expected [2,?,8]"),
        ["key hidden size"] = new(n => n.Replace(1, new float[96], 2, 3, 16), "input 'key' has shape [2,3,16]", "expected [2,?,8]"),
        ["key rows with rotary"] = new(
            n => n.Replace(1, new float[32], 2, 2, 8).Replace(2, new float[48], 2, 2, 12).Replace(5, new int[] { 5, 5 }, 2), "input 'key' has 2 rows", "expected 3", "do_rotary"),
        // ONNX Runtime finds no overload for mixed types, and says no more than that.
        ["key type differs"] = new(n => n.Replace(1, new Half[48], 2, 3, 8), "no kernel def matches node inputs for Op: SteeredAttention"),
        ["key missing"] = new(n => n.Replace<float>(1, null), "key"),
        ["value rank"] = new(n => n.Replace(2, new float[72], 72), "input 'value' has shape [72]", "expected [2,3,?]", "[B, new keys, kv_num_heads * Dv]"),
        ["value rows"] = new(n => n.Replace(2, new float[96], 2, 4, 12), "input 'value' has shape [2,4,12]", "expected [2,3,?]"),
        ["value hidden size"] = new(n => n.Replace(2, new float[66], 2, 3, 11), "input 'value' has shape [2,3,11]", "expected a multiple of kv_num_heads = 2 along axis 2"),
        ["past_key rank"] = new(n => n.Replace(3, new float[80], 2, 5, 8), "input 'past_key' has shape [2,5,8]", "expected [2,2,?,4]", "[B, kv_num_heads, past, D]"),
        ["past_key heads"] = new(n => n.Replace(3, new float[160], 2, 4, 5, 4), "input 'past_key' has shape [2,4,5,4]", "expected [2,2,?,4]"),
        ["past_key size"] = new(n => n.Replace(3, new float[100], 2, 2, 5, 5), "input 'past_key' has shape [2,2,5,5]", "expected [2,2,?,4]"),
        ["past_value rows"] = new(n => n.Replace(4, new float[144], 2, 2, 6, 6), "input 'past_value' has shape [2,2,6,6]", "expected [2,2,5,6]"),
        ["past_value size"] = new(n => n.Replace(4, new float[80], 2, 2, 5, 4), "input 'past_value' has shape [2,2,5,4]", "expected [2,2,5,6]"),
        ["past_key alone"] = new(n => n.Replace<float>(4, null), "input 'past_key' is given without 'past_value'", "expected both or neither"),
        ["past_value alone"] = new(n => n.Replace<float>(3, null), "input 'past_value' is given without 'past_key'", "expected both or neither"),

        // Lengths
        ["seqlens_k shape"] = new(n => n.Replace<int>(5, [6, 5, 6], 3), "input 'seqlens_k' has shape [3]", "expected [2]"),
        ["seqlens_k scalar"] = new(n => n.Replace<int>(5, [6]), "input 'seqlens_k' has shape []", "expected [2]"),
        ["seqlens_k rank 3"] = new(n => n.Replace<int>(5, [6, 5], 2, 1, 1), "input 'seqlens_k' has shape [2,1,1]", "expected [2]"),
        ["seqlens_k too small"] = new(n => n.Replace<int>(5, [6, 1], 2), "input 'seqlens_k' has 1 at 1", "expected 2..6"),
        ["seqlens_k too large"] = new(n => n.Replace<int>(5, [7, 5], 2), "input 'seqlens_k' has 7 at 0", "expected 2..6"),
        ["seqlens_k least"] = new(n => n.Replace<int>(5, [int.MinValue, 5], 2), $"input 'seqlens_k' has {int.MinValue} at 0", "expected 2..6"),
        ["seqlens_k largest"] = new(n => n.Replace<int>(5, [6, int.MaxValue], 2), $"input 'seqlens_k' has {int.MaxValue} at 1", "expected 2..6"),
        ["seqlens_k type"] = new(n => n.Replace<long>(5, [6, 5], 2), "tensor(int64)", "input5"),
        ["total too small"] = new(n => n.Replace<int>(6, [2], 1), "input 'total_sequence_length' is 2", "expected 3..8"),
        ["total too large"] = new(n => n.Replace<int>(6, [9], 1), "input 'total_sequence_length' is 9", "expected 3..8"),
        ["total negative"] = new(n => n.Replace<int>(6, [-1], 1), "input 'total_sequence_length' is -1", "expected 3..8"),
        ["total twice"] = new(n => n.Replace<int>(6, [7, 7], 2), "input 'total_sequence_length' has 2 elements", "expected 1"),
        ["total empty"] = new(n => n.Replace<int>(6, [], 0), "input 'total_sequence_length' has 0 elements", "expected 1"),

        // Rotary embedding
        ["cos_cache missing"] = new(n => n.Replace<float>(7, null), "input 'cos_cache' is missing"),
        ["sin_cache missing"] = new(n => n.Replace<float>(8, null), "input 'sin_cache' is missing"),
        ["cos_cache rank"] = new(n => n.Replace(7, new float[32], 32), "input 'cos_cache' has shape [32]", "expected [?,?]", "[max positions, R / 2]"),
        ["sin_cache shape"] = new(n => n.Replace(8, new float[16], 16, 1), "input 'sin_cache' has shape [16,1]", "expected [16,2]"),
        ["cos_cache columns"] = new(n => n.Replace(7, new float[48], 16, 3).Replace(8, new float[48], 16, 3), "input 'cos_cache' has 3 columns", "expected at most 2"),
        ["positions beyond the cache"] = new(
            n => n.Replace(7, new float[12], 6, 2).Replace(8, new float[12], 6, 2).Replace<long>(9, null), "row 2 of batch element 0 is at position 6", "expected 0..5", "'cos_cache'"),
        ["position_ids beyond the cache"] = new(n => n.Replace<long>(9, [4, 5, 6, 3, 4, 16], 2, 3), "input 'position_ids' has 16 at [1,2]", "expected 0..15", "'cos_cache'"),
        ["position_ids negative"] = new(n => n.Replace<long>(9, [4, -1, 6, 3, 4, 5], 2, 3), "input 'position_ids' has -1 at [0,1]", "expected 0..15"),
        ["position_ids largest"] = new(n => n.Replace<long>(9, [long.MaxValue, 1, 6, 3, 4, 5], 2, 3), $"input 'position_ids' has {long.MaxValue} at [0,0]", "expected 0..15"),
        ["position_ids shape"] = new(n => n.Replace<long>(9, new long[6], 3, 2), "input 'position_ids' has shape [3,2]", "expected [2,3]"),
        ["position_ids flat"] = new(n => n.Replace<long>(9, new long[6], 6), "input 'position_ids' has shape [6]", "expected [2,3]"),

        // Bias and sinks
        ["attention_bias keys"] = new(n => n.Replace(10, new float[72], 1, 4, 3, 6), "input 'attention_bias' has shape [1,4,3,6]", "expected [1,4,3,7]", "[B or 1, num_heads or 1, S, T]"),
        ["attention_bias rows"] = new(n => n.Replace(10, new float[56], 2, 1, 4, 7), "input 'attention_bias' has shape [2,1,4,7]", "expected [2,1,3,7]"),
        ["attention_bias batch"] = new(n => n.Replace(10, new float[63], 3, 1, 3, 7), "input 'attention_bias' has shape [3,1,3,7]", "expected [2,1,3,7]"),
        ["attention_bias heads"] = new(n => n.Replace(10, new float[42], 1, 2, 3, 7), "input 'attention_bias' has shape [1,2,3,7]", "expected [1,4,3,7]"),
        ["attention_bias rank"] = new(n => n.Replace(10, new float[84], 4, 3, 7), "input 'attention_bias' has shape [4,3,7]", "expected [1,1,3,7]"),
        ["head_sink shape"] = new(n => n.Replace(11, new float[3], 3), "input 'head_sink' has shape [3]", "expected [4]", "[num_heads]"),
        ["head_sink rank"] = new(n => n.Replace(11, new float[4], 4, 1), "input 'head_sink' has shape [4,1]", "expected [4]"),

        // Roles
        ["token_modality length"] = new(n => n.Replace(12, new byte[16], 2, 8), "input 'token_modality' has shape [2,8]", "expected [2,7]", "total_sequence_length"),
        ["token_modality rank"] = new(n => n.Replace(12, new byte[14], 14), "input 'token_modality' has shape [14]", "expected [2,7]"),
        ["token_modality type"] = new(n => n.Replace(12, new int[14], 2, 7), "tensor(int32)", "input12"),
        ["token_speakers length"] = new(n => n.Replace(13, new long[12], 2, 6), "input 'token_speakers' has shape [2,6]", "expected [2,7]"),
        ["token_speakers type"] = new(n => n.Replace(13, new int[14], 2, 7), "tensor(int32)", "input13"),
        ["token_frames length"] = new(n => n.Replace(14, new int[14], 2, 7), "input 'token_frames' has shape [2,7]", "expected [2,7,2]"),
        ["token_frames pairs"] = new(n => n.Replace(14, new int[42], 2, 7, 3), "input 'token_frames' has shape [2,7,3]", "expected [2,7,2]"),
        ["token_frames type"] = new(n => n.Replace(14, new long[28], 2, 7, 2), "tensor(int64)", "input14"),
        ["token roles without speakers"] = new(n => n.Replace<long>(13, null), "input 'token_modality' is given without 'token_speakers'", "expected both or neither"),
        ["token roles without frames"] = new(n => n.Replace<int>(14, null), "input 'token_modality' is given without 'token_frames'", "expected both or neither"),
        ["token roles without modality"] = new(n => n.Replace<byte>(12, null), "input 'token_speakers' is given without 'token_modality'", "expected both or neither"),
        ["query_modality length"] = new(n => n.Replace(15, new byte[14], 2, 7), "input 'query_modality' has shape [2,7]", "expected [2,3]", "[B, S]"),
        ["query_speakers length"] = new(n => n.Replace(16, new long[8], 2, 4), "input 'query_speakers' has shape [2,4]", "expected [2,3]"),
        ["query_frames length"] = new(n => n.Replace(17, new int[8], 2, 2, 2), "input 'query_frames' has shape [2,2,2]", "expected [2,3,2]"),
        ["query roles without frames"] = new(n => n.Replace<int>(17, null), "input 'query_modality' is given without 'query_frames'", "expected both or neither"),
        ["query roles alone"] = new(
            n => n.Replace<byte>(12, null).Replace<long>(13, null).Replace<int>(14, null), "input 'query_modality' is given without 'token_modality'", "expected both or only the latter"),
        ["unknown modality"] = new(n => Set<byte>(n, 12, 9, 7), "token_modality[1,2] is 7", "expected 0 (text), 1 (visual), 2 (audio), 3 (system), 4 (generated) or 255 (padding)"),
        ["unknown row modality"] = new(n => Set<byte>(n, 15, 4, 254), "query_modality[1,1] is 254", "expected 0 (text)"),
        ["speakers negative"] = new(n => Set(n, 13, 3, -1L), "token_speakers[0,3] is 0xffffffffffffffff", "expected only the lowest 3 bits"),
        ["speakers beyond num_speakers"] = new(n => Set(n, 13, 13, 8L), "token_speakers[1,6] is 0x8", "expected only the lowest 3 bits"),
        ["speakers of a row beyond num_speakers"] = new(n => Set(n, 16, 0, 1L << 62), "query_speakers[0,0] is 0x4000000000000000", "expected only the lowest 3 bits"),
        ["speakers negative with 63"] = new(
            n =>
            {
                n.Attributes["num_speakers"] = 63L;
                Set(n, 13, 3, long.MinValue);
            },
            "token_speakers[0,3] is 0x8000000000000000",
            "expected only the lowest 63 bits"),
        ["frames end before start"] = new(n => Set(n, 14, 6, 3), "token_frames[0,3] is [3,2)", "expected an end that is not before its start"),
        ["frames of a row end before start"] = new(n => Set(n, 17, 11, -1), "query_frames[1,2] is [1,-1)", "expected an end that is not before its start"),
        ["head_scores_in shape"] = new(n => n.Replace(18, new float[8], 4, 2), "input 'head_scores_in' has shape [4,2]", "expected [2,4]", "[B, num_heads]"),
        ["head_scores_in flat"] = new(n => n.Replace(18, new float[8], 8), "input 'head_scores_in' has shape [8]", "expected [2,4]"),
        ["head_scores_in type"] = new(n => n.Replace(18, new Half[8], 2, 4), "tensor(float16)", "input18"),
        ["one input more"] = new(n => n.Replace(19, new float[1], 1), "SteeredAttention", "19", "20"),
        ["one output more"] = new(n => n.Outputs = [.. n.Outputs, "sixth"], "SteeredAttention", "6"),

        // Attributes
        ["num_heads missing"] = new(n => n.Attributes.Remove("num_heads"), "attribute 'num_heads' is missing", "expected 1.."),
        ["num_heads 0"] = Attribute("num_heads", 0L, "is 0", "expected 1.."),
        ["num_heads negative"] = Attribute("num_heads", -4L, "is -4", "expected 1.."),
        ["num_heads too large"] = Attribute("num_heads", 1L << 32, "is 4294967296", "expected 1.."),
        ["num_heads a float"] = Attribute("num_heads", 4f, "is a float", "expected an integer"),
        ["kv_num_heads does not divide"] = new(n => n.Attributes["kv_num_heads"] = 3L, "attribute 'num_heads' is 4", "expected a multiple of kv_num_heads = 3"),
        ["kv_num_heads 0"] = Attribute("kv_num_heads", 0L, "is 0", "expected 1.."),
        ["scale NaN"] = Attribute("scale", float.NaN, "is NaN", "expected a finite number"),
        ["scale infinite"] = Attribute("scale", float.NegativeInfinity, "is -Infinity", "expected a finite number"),
        ["softcap NaN"] = Attribute("softcap", float.NaN, "is NaN", "expected a finite number"),
        ["softcap negative"] = Attribute("softcap", -1f, "is -1", "expected 0 (none) or more"),
        ["softcap infinite"] = Attribute("softcap", float.PositiveInfinity, "is Infinity", "expected a finite number"),
        ["window 0"] = Attribute("local_window_size", 0L, "is 0", "expected -1 (none) or 1.."),
        ["window negative"] = Attribute("local_window_size", -2L, "is -2", "expected -1 (none) or 1.."),
        ["window too large"] = Attribute("local_window_size", 1L << 31, "is 2147483648", "expected -1 (none) or 1.."),
        ["causal 2"] = Attribute("causal", 2L, "is 2", "expected 0 or 1"),
        ["do_rotary 2"] = Attribute("do_rotary", 2L, "is 2", "expected 0 or 1"),
        ["rotary_interleaved -1"] = Attribute("rotary_interleaved", -1L, "is -1", "expected 0 or 1"),
        ["clamp_negative 2"] = Attribute("clamp_negative", 2L, "is 2", "expected 0 or 1"),
        ["alpha NaN"] = Attribute("alpha", float.NaN, "is NaN", "expected a finite number"),
        ["alpha infinite"] = Attribute("alpha", float.PositiveInfinity, "is Infinity", "expected a finite number"),
        ["alpha an integer"] = Attribute("alpha", 1L, "is an integer", "expected a float"),
        ["lambda NaN"] = Attribute("lambda", float.NaN, "is NaN", "expected a number"),
        ["num_speakers 0"] = Attribute("num_speakers", 0L, "is 0", "expected 1..63"),
        ["num_speakers 64"] = Attribute("num_speakers", 64L, "is 64", "expected 1..63"),
        ["unknown policy"] = Attribute("policy", "sideways", "is 'sideways'", "expected 'social' or 'none'"),
    };

    public static TheoryData<string> Names => [.. Rows.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_Wrong_Input_Is_Named(string what) => Rows[what].Check(SmallNodes.SteeredAttention);

    private static WrongInput Attribute(string name, object value, params string[] says) => new(n => n.Attributes[name] = value, [$"attribute '{name}'", .. says]);

    private static void Set<T>(OpNode node, int input, int element, T value)
        where T : unmanaged => node.Feeds()[$"input{input}"].Span<T>()[element] = value;
}
