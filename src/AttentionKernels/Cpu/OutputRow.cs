namespace AttentionKernels.Cpu;

/// <summary>A row of the output, in any element type.</summary>
internal readonly unsafe ref struct OutputRow(in TensorView output, int b, int h, int i)
{
    private readonly byte* _row = output.Row(b, h, i);
    private readonly ElementType _type = output.Type;

    /// <summary>Sets element <paramref name="d"/>, rounded to the output's type.</summary>
    public float this[int d]
    {
        set => _type.Store(_row, d, value);
    }
}
