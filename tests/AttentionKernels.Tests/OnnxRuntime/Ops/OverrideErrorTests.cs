namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>
/// What can be wrong with a node of an operator that this library replaces, or in it that this library does not compute, one row each, starting from
/// <see cref="SmallNodes.GroupQueryAttention"/> and <see cref="SmallNodes.MultiHeadAttention"/>: B = 2, H = 4, K = 2, S = 3, T = 7, D = 4.
/// </summary>
public sealed class OverrideErrorTests
{
    private const string WithoutGroupQuery = "register without AttentionOverrides.GroupQueryAttention";

    private static readonly Dictionary<string, WrongInput> GroupQueryRows = new()
    {
        // Not supported: refused when the session is made.
        ["quantised keys"] = Attribute("k_quant_type", "PER_TENSOR", "is 'PER_TENSOR'", "expected 'NONE'", "a quantised key/value cache is not supported", WithoutGroupQuery),
        ["quantised values"] = Attribute("v_quant_type", "PER_CHANNEL", "is 'PER_CHANNEL'", "expected 'NONE'", WithoutGroupQuery),
        ["cache bits"] = Attribute("kv_cache_bit_width", 8L, "is 8", "expected 0", "a quantised key/value cache is not supported", WithoutGroupQuery),
        ["sliding cache"] = Attribute("sliding_window_cache", 1L, "is 1", "expected 0", "a cache that drops old keys is not supported", WithoutGroupQuery),
        ["int8 cache"] = new(
            n =>
            {
                n.Replace(3, new sbyte[80], 2, 2, 5, 4).Replace(4, new sbyte[80], 2, 2, 5, 4);
                n.Outputs = ["output"];
                n.Attributes["qk_output"] = 0L;
            },
            "input 'past_key' is Int8", "expected Float as 'query'", "a quantised key/value cache is not supported", WithoutGroupQuery),
        ["k_scale"] = new(n => n.Replace(12, new float[1], 1), "input 'k_scale' is given", "expected none", "a quantised key/value cache is not supported", WithoutGroupQuery),
        ["v_scale"] = new(n => n.Replace(13, new float[1], 1), "input 'v_scale' is given", "expected none", WithoutGroupQuery),
        ["q_norm_weight"] = new(n => n.Replace(14, new float[4], 4), "input 'q_norm_weight' is given", "normalisation of query and key is not supported", WithoutGroupQuery),
        ["k_norm_weight"] = new(n => n.Replace(15, new float[4], 4), "input 'k_norm_weight' is given", "expected none", WithoutGroupQuery),

        // Attributes
        ["window without causality"] = Attribute("causal", 0L, "attribute 'local_window_size' is 6", "expected -1 (none) because causal is 0"),
        ["smooth_softmax and head_sink"] = Attribute("smooth_softmax", 1L, "is 1", "expected 0 because input 'head_sink' is given"),
        ["smooth_softmax 2"] = Attribute("smooth_softmax", 2L, "is 2", "expected -1, 0 or 1"),
        ["qk_output 3"] = Attribute("qk_output", 3L, "is 3", "expected 0 (none), 1 (logits) or 2 (probabilities)"),
        ["qk_output 0"] = Attribute("qk_output", 0L, "is 0", "expected 1 or 2 because output 'output_qk' is listed"),
        ["output_qk not listed"] = new(n => n.Outputs = ["output", "present_key", "present_value"], "attribute 'qk_output' is 1", "expected 0 because output 'output_qk' is not listed"),
        ["kv_num_heads"] = Attribute("kv_num_heads", 3L, "attribute 'num_heads' is 4", "expected a multiple of kv_num_heads = 3"),
        ["num_heads missing"] = new(n => n.Attributes.Remove("num_heads"), "attribute 'num_heads' is missing"),

        // Inputs
        ["query rank"] = new(n => n.Replace(0, new float[96], 6, 16), "input 'query' has shape [6,16]", "expected [?,?,?]"),
        ["key hidden size"] = new(n => n.Replace(1, new float[96], 2, 3, 16), "input 'key' has shape [2,3,16]", "expected [2,?,8]"),
        ["value rows"] = new(n => n.Replace(2, new float[64], 2, 4, 8), "input 'value' has shape [2,4,8]", "expected [2,3,?]"),
        ["key missing"] = new(n => n.Replace<float>(1, null), "input 'value' is given without 'key'"),
        ["packed hidden size"] = new(
            n => n.Replace(0, new float[120], 2, 3, 20).Replace<float>(1, null).Replace<float>(2, null), "input 'query' has shape [2,3,20]", "num_heads + 2 * kv_num_heads = 8"),
        ["past_value missing"] = new(n => n.Replace<float>(4, null), "input 'past_key' is given without 'past_value'"),
        ["past_key heads"] = new(n => n.Replace(3, new float[160], 2, 4, 5, 4), "input 'past_key' has shape [2,4,5,4]", "expected [2,2,?,4]"),
        ["seqlens_k"] = new(n => n.Replace<int>(5, [6, 7], 2), "input 'seqlens_k' has 7 at 1", "expected 2..6"),
        ["total"] = new(n => n.Replace<int>(6, [9], 1), "input 'total_sequence_length' is 9", "expected 3..8"),
        ["cos_cache missing"] = new(n => n.Replace<float>(7, null), "input 'cos_cache' is missing"),
        ["attention_bias"] = new(n => n.Replace(10, new float[72], 1, 4, 3, 6), "input 'attention_bias' has shape [1,4,3,6]", "expected [1,4,3,7]"),
        ["head_sink"] = new(n => n.Replace(11, new float[3], 3), "input 'head_sink' has shape [3]", "expected [4]"),
    };

    private static readonly Dictionary<string, WrongInput> MultiHeadRows = new()
    {
        ["cache_indirection"] = new(
            n => n.Replace(9, new int[16], 2, 1, 8), "input 'cache_indirection' is given", "expected none", "register without AttentionOverrides.MultiHeadAttention"),
        ["num_heads"] = Attribute("num_heads", 0L, "is 0", "expected 1.."),
        ["scale"] = Attribute("scale", float.NaN, "is NaN", "expected a finite number"),
        ["unidirectional"] = Attribute("unidirectional", 2L, "is 2", "expected 0 or 1"),
        ["mask_filter_value"] = Attribute("mask_filter_value", float.NaN, "is NaN", "expected a number"),
        ["query rank"] = new(n => n.Replace(0, new float[96], 96), "input 'query' has shape [96]", "[B, S, num_heads * D]"),
        ["packed query and key"] = new(n => n.Replace(0, new float[288], 2, 3, 4, 3, 4), "input 'key' is given with a packed 'query' of 5 dimensions", "expected none"),
        ["packed query parts"] = new(
            n => n.Replace(0, new float[192], 2, 3, 4, 2, 4).Replace<float>(1, null).Replace<float>(2, null), "input 'query' has shape [2,3,4,2,4]", "expected [?,?,4,3,?]"),
        ["key missing"] = new(n => n.Replace<float>(1, null), "input 'key' is missing"),
        ["key hidden size"] = new(n => n.Replace(1, new float[48], 2, 3, 8), "input 'key' has shape [2,3,8]", "expected [2,?,16]"),
        ["packed key and value"] = new(n => n.Replace(1, new float[192], 2, 3, 4, 2, 4), "input 'value' is given with a packed 'key' of 5 dimensions"),
        ["packed key parts"] = new(n => n.Replace(1, new float[288], 2, 3, 4, 3, 4).Replace<float>(2, null), "input 'key' has shape [2,3,4,3,4]", "expected [2,?,4,2,4]"),
        ["key heads first with a past"] = new(
            n => n.Replace(1, new float[96], 2, 4, 3, 4).Replace(2, new float[96], 2, 4, 3, 4), "input 'past_key' is given with a 'key' of 4 dimensions"),
        ["value missing"] = new(n => n.Replace(1, new float[96], 2, 4, 3, 4).Replace<float>(2, null), "input 'value' is missing"),
        ["value heads first"] = new(n => n.Replace(1, new float[96], 2, 4, 3, 4).Replace(2, new float[96], 2, 3, 4, 4), "input 'value' has shape [2,3,4,4]", "expected [2,4,3,?]"),
        ["rows and keys differ"] = new(
            n => n.Replace(1, new float[64], 2, 2, 16).Replace(2, new float[64], 2, 2, 16), "input 'key' has 2 rows", "expected 3", "unidirectional is 1"),
        ["bias size"] = new(n => n.Replace(3, new float[47], 47), "input 'bias' has shape [47]", "expected [48]"),
        ["key_padding_mask keys"] = new(n => n.Replace(4, new int[10], 2, 5), "input 'key_padding_mask' has shape [2,5]", "expected [2] = [B], [8] = [3 B + 2], [2,7] = [B, T] or [2,3,7] = [B, S, T]"),
        ["key_padding_mask rank"] = new(n => n.Replace(4, new int[42], 2, 1, 3, 7), "input 'key_padding_mask' has shape [2,1,3,7]"),
        ["attention_bias"] = new(n => n.Replace(5, new float[84], 4, 3, 7), "input 'attention_bias' has shape [4,3,7]", "expected [1,1,3,7]"),
        ["past_key rank"] = new(n => n.Replace(6, new float[160], 2, 5, 16), "input 'past_key' has shape [2,5,16]", "expected [2,4,?,4]"),
        ["past_value missing"] = new(n => n.Replace<float>(7, null), "input 'past_key' is given without 'past_value'"),
        ["past_sequence_length"] = new(n => n.Replace<int>(8, [6], 1), "input 'past_sequence_length' is 6", "expected 0..5"),
        ["past_sequence_length twice"] = new(n => n.Replace<int>(8, [4, 4], 2), "input 'past_sequence_length' has 2 elements", "expected 1"),
    };

    public static TheoryData<string> GroupQueryNames => [.. GroupQueryRows.Keys];

    public static TheoryData<string> MultiHeadNames => [.. MultiHeadRows.Keys];

    [Theory]
    [MemberData(nameof(GroupQueryNames))]
    public void A_Wrong_Group_Query_Node_Is_Named(string what) => GroupQueryRows[what].Check(SmallNodes.GroupQueryAttention);

    [Theory]
    [MemberData(nameof(MultiHeadNames))]
    public void A_Wrong_Multi_Head_Node_Is_Named(string what) => MultiHeadRows[what].Check(SmallNodes.MultiHeadAttention);

    private static WrongInput Attribute(string name, object value, params string[] says) => new(n => n.Attributes[name] = value, ["attribute '", .. says]);
}
