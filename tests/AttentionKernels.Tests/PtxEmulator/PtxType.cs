namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>A type of PTX: kind 'b' bits, 'u', 's', 'f', 'h' (bf16), 'p' (predicate), 't' (tf32).</summary>
/// <param name="Kind">One letter.</param>
/// <param name="Bits">Bits of one element.</param>
/// <param name="Pair">Two elements in 32 bits: f16x2, bf16x2.</param>
internal readonly record struct PtxType(char Kind, int Bits, bool Pair = false)
{
    /// <summary>Bits of the register that holds a value.</summary>
    public int RegisterBits => Pair ? 32 : Bits;

    public int Bytes => RegisterBits / 8;

    public bool IsFloat => Kind is 'f' or 'h' or 't';

    public bool IsSigned => Kind == 's';

    public static bool TryParse(string text, out PtxType type)
    {
        type = text switch
        {
            "pred" => new PtxType('p', 1),
            "f16x2" => new PtxType('f', 16, true),
            "bf16x2" => new PtxType('h', 16, true),
            "bf16" => new PtxType('h', 16),
            "tf32" => new PtxType('t', 32),
            "b8" or "b16" or "b32" or "b64" or "u8" or "u16" or "u32" or "u64" or "s8" or "s16" or "s32" or "s64"
                or "f16" or "f32" or "f64" => new PtxType(text[0], int.Parse(text.AsSpan(1))),
            _ => default,
        };
        return type.Bits != 0;
    }

    public override string ToString() => Kind switch
    {
        'p' => "pred",
        'h' => Pair ? "bf16x2" : "bf16",
        't' => "tf32",
        _ => Pair ? $"{Kind}{Bits}x2" : $"{Kind}{Bits}",
    };
}
