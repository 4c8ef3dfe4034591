namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>Everything that can be wrong with an ai.onnx Attention node, one row each, starting from the nodes of <see cref="OnnxAttentionNodes"/>.</summary>
public sealed class OnnxAttentionErrorTests
{
    private static readonly Dictionary<string, WrongInput> WithPast = new()
    {
        ["Q rank 2"] = new(n => n.Replace(0, new float[96], 6, 16), "input 'Q' has shape [6,16]", "[B, q_num_heads, S, D] or [B, S, q_num_heads * D]"),
        ["Q hidden size"] = new(n => n.Replace(0, new float[84], 2, 3, 14), "input 'Q' has shape [2,3,14]", "expected a multiple of q_num_heads = 4 along axis 2"),
        ["Q type"] = new(n => n.Replace(0, new int[96], 2, 3, 16), "tensor(int32)", "input0", "Attention"),
        ["K type differs"] = new(n => n.Replace(1, new Half[48], 2, 3, 8), "Attention"),
        ["K rank"] = new(n => n.Replace(1, new float[48], 2, 2, 3, 4), "input 'K' has shape [2,2,3,4]", "expected [2,?,?]", "[B, new keys, kv_num_heads * D]"),
        ["K batch"] = new(n => n.Replace(1, new float[24], 1, 3, 8), "input 'K' has shape [1,3,8]", "expected [2,?,?]"),
        ["K hidden size"] = new(n => n.Replace(1, new float[96], 2, 3, 16), "input 'K' has shape [2,3,16]", "expected [2,3,8]"),
        ["K missing"] = new(n => n.Replace<float>(1, null), "Attention"),
        ["V rows"] = new(n => n.Replace(2, new float[96], 2, 4, 12), "input 'V' has shape [2,4,12]", "expected [2,3,?]", "[B, new keys, kv_num_heads * Dv]"),
        ["V hidden size"] = new(n => n.Replace(2, new float[66], 2, 3, 11), "input 'V' has shape [2,3,11]", "expected a multiple of kv_num_heads = 2"),
        ["mask too long"] = new(n => n.Replace(3, new float[27], 3, 9), "input 'attn_mask' has shape [3,9]", "broadcast to [2,4,3,8]", "[B, q_num_heads, S, T]"),
        ["mask heads"] = new(n => n.Replace(3, new float[48], 2, 3, 8), "input 'attn_mask' has shape [2,3,8]", "broadcast to [2,4,3,8]"),
        ["mask scalar"] = new(n => n.Replace(3, new float[1]), "input 'attn_mask' has shape []", "broadcast to [2,4,3,8]"),
        ["mask rank 5"] = new(n => n.Replace(3, new float[24], 1, 1, 1, 3, 8), "input 'attn_mask' has shape [1,1,1,3,8]", "at most 4 dimensions"),
        ["mask type"] = new(n => n.Replace(3, new int[24], 3, 8), "tensor(int32)", "Attention"),
        ["past_key heads"] = new(n => n.Replace(4, new float[160], 2, 4, 5, 4), "input 'past_key' has shape [2,4,5,4]", "expected [2,2,?,4]"),
        ["past_value rows"] = new(n => n.Replace(5, new float[144], 2, 2, 6, 6), "input 'past_value' has shape [2,2,6,6]", "expected [2,2,5,6]"),
        ["past_key alone"] = new(n => n.Replace<float>(5, null), "input 'past_key' is given without 'past_value'", "expected both or neither"),
        ["past_value alone"] = new(n => n.Replace<float>(4, null), "input 'past_value' is given without 'past_key'", "expected both or neither"),
        ["lengths with a past"] = new(n => n.Replace<long>(6, [8, 8], 2), "input 'nonpad_kv_seqlen' is given together with 'past_key'", "expected at most one"),
        ["no q_num_heads"] = new(n => n.Attributes.Remove("q_num_heads"), "attribute 'q_num_heads' is missing", "'Q', which has 3 dimensions"),
        ["no kv_num_heads"] = new(n => n.Attributes.Remove("kv_num_heads"), "attribute 'kv_num_heads' is missing", "'K', which has 3 dimensions"),
        ["q_num_heads 0"] = Attribute("q_num_heads", 0L, "is 0", "expected 1.."),
        ["kv_num_heads does not divide"] = new(n => n.Attributes["kv_num_heads"] = 8L, "input 'K' has 8 heads", "expected a divisor of the 4 heads of 'Q'"),
        ["is_causal 2"] = Attribute("is_causal", 2L, "is 2", "expected 0 or 1"),
        ["scale negative"] = Attribute("scale", -1f, "is -1", "expected a finite number that has a square root"),
        ["scale NaN"] = Attribute("scale", float.NaN, "is NaN", "expected a finite number"),
        ["softcap negative"] = Attribute("softcap", -1f, "is -1", "expected 0 (none) or more"),
        ["mode 4"] = Attribute("qk_matmul_output_mode", 4L, "is 4", "expected 0..3"),
        ["softmax_precision 7"] = Attribute("softmax_precision", 7L, "is 7", "expected 1 (float), 10 (float16), 11 (double) or 16 (bfloat16)"),
        ["left_window_size -2"] = Attribute("left_window_size", -2L, "is -2", "expected -1 (none) or more"),
        ["right_window_size without causality"] = new(
            n =>
            {
                n.Attributes["right_window_size"] = 1L;
                n.Attributes["is_causal"] = 0L;
            },
            "attribute 'right_window_size' is 1", "expected -1 or 0"),
        ["one input more"] = new(n => n.Skip(1).Replace(7, new float[1], 1), "Attention", "8"),
        ["one output more"] = new(n => n.Outputs = [.. n.Outputs, "fifth"], "Attention", "5"),
    };

    private static readonly Dictionary<string, WrongInput> WithLengths = new()
    {
        ["K size"] = new(n => n.Replace(1, new float[140], 2, 2, 7, 5), "input 'K' has shape [2,2,7,5]", "expected [2,?,?,4]"),
        ["K heads"] = new(n => n.Replace(1, new float[168], 2, 3, 7, 4), "input 'K' has 3 heads", "expected a divisor of the 4 heads of 'Q'"),
        ["no heads"] = new(n => n.Replace(1, Array.Empty<float>(), 2, 0, 7, 4), "input 'K' has no heads"),
        ["V heads"] = new(n => n.Replace(2, new float[84], 2, 1, 7, 6), "input 'V' has shape [2,1,7,6]", "expected [2,2,7,?]"),
        ["V without size"] = new(n => n.Replace(2, Array.Empty<float>(), 2, 2, 7, 0), "input 'V' has heads of 0", "along axis 3"),
        ["other q_num_heads"] = new(n => n.Attributes["q_num_heads"] = 2L, "input 'Q' has 4 heads along axis 1", "expected q_num_heads = 2"),
        ["lengths shape"] = new(n => n.Replace<long>(6, [7, 5, 6], 3), "input 'nonpad_kv_seqlen' has shape [3]", "expected [2]"),
        ["lengths too large"] = new(n => n.Replace<long>(6, [7, 8], 2), "input 'nonpad_kv_seqlen' has 8 at 1", "expected 0..7"),
        ["lengths negative"] = new(n => n.Replace<long>(6, [-1, 5], 2), "input 'nonpad_kv_seqlen' has -1 at 0", "expected 0..7"),
        ["lengths huge"] = new(n => n.Replace<long>(6, [long.MinValue, 5], 2), "input 'nonpad_kv_seqlen' has -9223372036854775808 at 0"),
        ["lengths type"] = new(n => n.Replace<int>(6, [7, 5], 2), "tensor(int32)", "input6"),
    };

    public static TheoryData<string> NamesWithPast => [.. WithPast.Keys];

    public static TheoryData<string> NamesWithLengths => [.. WithLengths.Keys];

    [Theory]
    [MemberData(nameof(NamesWithPast))]
    public void A_Wrong_Input_Is_Named(string what) => WithPast[what].Check(OnnxAttentionNodes.WithPast);

    [Theory]
    [MemberData(nameof(NamesWithLengths))]
    public void A_Wrong_Input_Of_Four_Dimensions_Is_Named(string what) => WithLengths[what].Check(OnnxAttentionNodes.WithLengths);

    private static WrongInput Attribute(string name, object value, params string[] says) => new(n => n.Attributes[name] = value, [$"attribute '{name}'", .. says]);
}
