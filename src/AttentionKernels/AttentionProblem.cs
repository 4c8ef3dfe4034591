namespace AttentionKernels;

/// <summary>
/// One attention call: shapes, tensors, masks. Every engine takes this same description.
/// </summary>
/// <remarks>
/// For query row i, key j of batch element b, query head h (key head h / (Heads / KvHeads)):
/// <code>
/// s    = Scale * dot(q_i, k_j)
/// s    = Softcap * tanh(s / Softcap)             if Softcap > 0
/// s   += Bias[b, h, i, j]
/// s    = -inf                                    if j is not visible from i, or the bias is -inf
/// out  = sum_j e^s v_j / (sum_j e^s + e^sink)    0 when no key is visible
/// </code>
/// Row i stands at position p = QueryOffsets[b] + i among the keys. Key j is visible iff j &lt; KeyLengths[b],
/// and, if Causal, j &lt;= p, and, if Window > 0, j > p - Window. A key whose final logit is -inf contributes nothing, whatever
/// its value holds; a NaN or +inf logit makes the row NaN.
/// </remarks>
public unsafe struct AttentionProblem
{
    /// <summary>Most rows, keys, heads or batch elements: with blocks and tiles rounded up, indices stay within an int.</summary>
    internal const int MaxLength = 1 << 30;

    /// <summary>Largest head: a worker's matrices have 64 lanes for each of its elements.</summary>
    internal const int MaxHeadSize = 1 << 16;

    /// <summary>Batch elements B.</summary>
    public int Batch;

    /// <summary>Query heads H.</summary>
    public int Heads;

    /// <summary>Key and value heads; divides <see cref="Heads"/>.</summary>
    public int KvHeads;

    /// <summary>Query rows S of this call.</summary>
    public int QueryLength;

    /// <summary>Keys T, past ones included.</summary>
    public int KeyLength;

    /// <summary>Size D of a query or key head.</summary>
    public int HeadSize;

    /// <summary>Size of a value head and of an output head.</summary>
    public int ValueHeadSize;

    /// <summary>Query [B, H, S, D].</summary>
    public TensorView Query;

    /// <summary>Key [B, KvHeads, T, D].</summary>
    public TensorView Key;

    /// <summary>Value [B, KvHeads, T, ValueHeadSize]; empty when only scores are wanted.</summary>
    public TensorView Value;

    /// <summary>Output [B, H, S, ValueHeadSize]; empty when only scores are wanted.</summary>
    public TensorView Output;

    /// <summary>Factor of the dot product.</summary>
    public float Scale;

    /// <summary>Soft-cap of the logits; 0 is none.</summary>
    public float Softcap;

    /// <summary>Keys that a row sees at most, itself included; 0 is no limit.</summary>
    public int Window;

    /// <summary>Whether a row sees no key beyond its own position.</summary>
    public bool Causal;

    /// <summary>[B] valid keys of each batch element, 0..T; null: T for all.</summary>
    public int* KeyLengths;

    /// <summary>[B] position of row 0 among the keys; null: T - S for all. May be negative: such causal rows see nothing.</summary>
    public int* QueryOffsets;

    /// <summary>Additive bias [B, H, S, T], broadcast by strides of 0; empty: none.</summary>
    public TensorView Bias;

    /// <summary>[H] logit of a key without value that every row sees; null: none. A row that sees no key stays 0.</summary>
    public float* HeadSink;

    /// <summary>Checks everything that can be checked without reading tensors: sizes, options, lengths, and that roles fit.</summary>
    /// <exception cref="ArgumentException">The message names the member, its value and what was expected.</exception>
    internal readonly void Validate(in SocialBias bias)
    {
        Require(
            Batch is >= 0 and <= MaxLength && QueryLength is >= 0 and <= MaxLength && KeyLength is >= 0 and <= MaxLength,
            $"Batch, QueryLength, KeyLength are {Batch}, {QueryLength}, {KeyLength}, expected 0..{MaxLength}");
        Require(KvHeads > 0 && Heads is > 0 and <= MaxLength && Heads % KvHeads == 0, $"Heads is {Heads}, expected a multiple of KvHeads = {KvHeads} in 1..{MaxLength}");
        Require(HeadSize is > 0 and <= MaxHeadSize, $"HeadSize is {HeadSize}, expected 1..{MaxHeadSize}");
        Require(!Query.IsEmpty && !Key.IsEmpty, "Query and Key are required");
        Require(Value.IsEmpty == Output.IsEmpty, "Value and Output are expected both or neither");
        Require(Value.IsEmpty || ValueHeadSize is > 0 and <= MaxHeadSize, $"ValueHeadSize is {ValueHeadSize}, expected 1..{MaxHeadSize}");
        Require(Value.IsEmpty || Value.Type == Key.Type, $"Value is {Value.Type}, expected {Key.Type} as Key");
        Require(float.IsFinite(Scale) && float.IsFinite(Softcap) && Softcap >= 0, $"Scale, Softcap are {Scale}, {Softcap}, expected finite numbers and Softcap 0 or more");
        Require(Window >= 0, $"Window is {Window}, expected 0 (none) or more");
        for (int b = 0; b < Batch; b++)
        {
            Require(KeysOf(b) >= 0 && KeysOf(b) <= KeyLength, $"KeyLengths[{b}] is {KeysOf(b)}, expected 0..{KeyLength}");
        }
        Require(bias.SpeakerCount is >= 0 and <= 63, $"SpeakerCount is {bias.SpeakerCount}, expected 0..63");
        if (bias.Keys.IsEmpty)
        {
            return;
        }
        Require(bias.Keys.Speakers != null && bias.Keys.Frames != null, "Keys has a modality, expected speakers and frames, too");
        Require(bias.Queries.IsEmpty || (bias.Queries.Speakers != null && bias.Queries.Frames != null), "Queries has a modality, expected speakers and frames, too");
        Require(bias.Keys.Length == KeyLength, $"Keys has {bias.Keys.Length} tokens, expected KeyLength = {KeyLength}");
        Require(bias.Queries.IsEmpty || bias.Queries.Length == QueryLength, $"Queries has {bias.Queries.Length} tokens, expected QueryLength = {QueryLength}");
        Require(float.IsFinite(bias.Alpha) && !float.IsNaN(bias.Lambda), $"Alpha, Lambda are {bias.Alpha}, {bias.Lambda}, expected a finite number and a number");
        string? fault = bias.Keys.FindFault(Batch, 63) ?? (bias.Queries.IsEmpty ? null : bias.Queries.FindFault(Batch, 63));
        Require(fault == null, fault!);

        static void Require(bool holds, string message)
        {
            if (!holds)
            {
                throw new ArgumentException(message);
            }
        }
    }

    /// <summary>Valid keys of batch element <paramref name="b"/>.</summary>
    internal readonly int KeysOf(int b) => KeyLengths == null ? KeyLength : KeyLengths[b];

    /// <summary>Position of row 0 of batch element <paramref name="b"/>.</summary>
    internal readonly int OffsetOf(int b) => QueryOffsets == null ? KeyLength - QueryLength : QueryOffsets[b];

    /// <summary>The visible keys of the row at position <paramref name="position"/>: [first, end).</summary>
    internal readonly (int First, int End) VisibleKeys(int b, int position)
    {
        int end = KeysOf(b);
        if (Causal)
        {
            end = (int)Math.Min(end, (long)position + 1);
        }
        int first = Window > 0 ? (int)Math.Max(0, (long)position - Window + 1) : 0;
        return (first, Math.Max(first, end));
    }
}
