namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>A dimension of a tensor's type: a number, a symbol, or unknown.</summary>
internal readonly record struct OnnxDimension
{
    private OnnxDimension(long value, string? symbol)
    {
        Value = value;
        Symbol = symbol;
    }

    /// <summary>A dimension about which nothing is known.</summary>
    public static OnnxDimension Unknown => new(-1, null);

    /// <summary>The number, or -1.</summary>
    public long Value { get; }

    /// <summary>The symbol, or null. Dimensions with the same symbol are equal.</summary>
    public string? Symbol { get; }

    public static implicit operator OnnxDimension(long value) =>
        value >= 0 ? new(value, null) : throw new ArgumentOutOfRangeException(nameof(value), value, "a dimension is at least 0");

    public static implicit operator OnnxDimension(string symbol) => new(-1, symbol);

    /// <summary>Size of each of <paramref name="parts"/> equal parts, if that is known and whole.</summary>
    public static OnnxDimension Divide(OnnxDimension dimension, long parts) =>
        dimension.Value >= 0 && dimension.Value % parts == 0 ? dimension.Value / parts : Unknown;

    public override string ToString() => Symbol ?? (Value < 0 ? "?" : $"{Value}");
}
