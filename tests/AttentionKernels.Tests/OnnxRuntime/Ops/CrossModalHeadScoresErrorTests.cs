namespace AttentionKernels.Tests.OnnxRuntime.Ops;

/// <summary>
/// What can be wrong with a CrossModalHeadScores node, one row each, starting from <see cref="SmallNodes.CrossModalHeadScores"/>: B = 2, H = 4, K = 2,
/// S = 3, past 5, T = 7, D = 4.
/// </summary>
public sealed class CrossModalHeadScoresErrorTests
{
    private static readonly Dictionary<string, WrongInput> Rows = new()
    {
        ["query rank"] = new(n => n.Replace(0, new float[96], 96), "input 'query' has shape [96]", "expected [?,?,?]", "[B, S, num_heads * D]"),
        ["query hidden size"] = new(n => n.Replace(0, new float[90], 2, 3, 15), "input 'query' has shape [2,3,15]", "expected a multiple of num_heads = 4 along axis 2"),
        ["query type"] = new(n => n.Replace(0, new long[96], 2, 3, 16), "tensor(int64)", "input0"),
        ["key batch"] = new(n => n.Replace(1, new float[72], 3, 3, 8), "input 'key' has shape [3,3,8]", "expected [2,?,8]"),
        ["key hidden size"] = new(n => n.Replace(1, new float[42], 2, 3, 7), "input 'key' has shape [2,3,7]", "expected [2,?,8]", "[B, new keys, kv_num_heads * D]"),
        ["past_key shape"] = new(n => n.Replace(2, new float[80], 2, 5, 2, 4), "input 'past_key' has shape [2,5,2,4]", "expected [2,2,?,4]"),
        ["past_key rank"] = new(n => n.Replace(2, new float[80], 2, 40), "input 'past_key' has shape [2,40]", "expected [2,2,?,4]"),
        ["seqlens_k shape"] = new(n => n.Replace<int>(3, [6], 1), "input 'seqlens_k' has shape [1]", "expected [2]"),
        ["seqlens_k too small"] = new(n => n.Replace<int>(3, [1, 5], 2), "input 'seqlens_k' has 1 at 0", "expected 2..6"),
        ["seqlens_k too large"] = new(n => n.Replace<int>(3, [6, 7], 2), "input 'seqlens_k' has 7 at 1", "expected 2..6"),
        ["total out of range"] = new(n => n.Replace<int>(4, [9], 1), "input 'total_sequence_length' is 9", "expected 3..8"),
        ["total twice"] = new(n => n.Replace<int>(4, [7, 7], 2), "input 'total_sequence_length' has 2 elements", "expected 1"),
        ["no roles"] = new(
            n =>
            {
                for (int i = 5; i <= 10; i++)
                {
                    n.Replace<byte>(i, null);
                }
            },
            "input 'token_modality' is missing"),
        ["query roles alone"] = new(n => n.Replace<byte>(5, null).Replace<long>(6, null).Replace<int>(7, null), "input 'token_modality' is missing"),
        ["token roles without speakers"] = new(n => n.Replace<long>(6, null), "input 'token_modality' is given without 'token_speakers'"),
        ["token_modality length"] = new(n => n.Replace(5, new byte[6], 2, 3), "input 'token_modality' has shape [2,3]", "expected [2,7]"),
        ["token_speakers length"] = new(n => n.Replace(6, new long[16], 2, 8), "input 'token_speakers' has shape [2,8]", "expected [2,7]"),
        ["token_frames length"] = new(n => n.Replace(7, new int[14], 1, 7, 2), "input 'token_frames' has shape [1,7,2]", "expected [2,7,2]"),
        ["query_modality length"] = new(n => n.Replace(8, new byte[14], 2, 7), "input 'query_modality' has shape [2,7]", "expected [2,3]"),
        ["unknown modality"] = new(n => n.Feeds()["input5"].Span<byte>()[13] = 5, "token_modality[1,6] is 5", "expected 0 (text)"),
        ["speakers beyond num_speakers"] = new(n => n.Feeds()["input6"].Span<long>()[0] = 9, "token_speakers[0,0] is 0x9", "expected only the lowest 3 bits"),
        ["frames end before start"] = new(n => n.Feeds()["input7"].Span<int>()[1] = -7, "token_frames[0,0] is [0,-7)", "expected an end that is not before its start"),
        ["row frames end before start"] = new(n => n.Feeds()["input10"].Span<int>()[1] = -7, "query_frames[0,0] is [0,-7)", "expected an end that is not before its start"),
        ["num_heads missing"] = new(n => n.Attributes.Remove("num_heads"), "attribute 'num_heads' is missing", "expected 1.."),
        ["heads do not divide"] = new(n => n.Attributes["kv_num_heads"] = 3L, "attribute 'num_heads' is 4", "expected a multiple of kv_num_heads = 3"),
        ["num_speakers missing"] = new(n => n.Attributes.Remove("num_speakers"), "attribute 'num_speakers' is missing", "expected 1..63"),
        ["num_speakers 64"] = new(n => n.Attributes["num_speakers"] = 64L, "attribute 'num_speakers' is 64", "expected 1..63"),
        ["scale NaN"] = new(n => n.Attributes["scale"] = float.NaN, "attribute 'scale' is NaN", "expected a finite number"),
        ["softcap negative"] = new(n => n.Attributes["softcap"] = -3f, "attribute 'softcap' is -3", "expected 0 (none) or more"),
        ["window negative"] = new(n => n.Attributes["local_window_size"] = -5L, "attribute 'local_window_size' is -5", "expected -1 (none) or 1.."),
        ["causal 3"] = new(n => n.Attributes["causal"] = 3L, "attribute 'causal' is 3", "expected 0 or 1"),
    };

    public static TheoryData<string> Names => [.. Rows.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_Wrong_Input_Is_Named(string what) => Rows[what].Check(SmallNodes.CrossModalHeadScores);
}
