namespace AttentionKernels.Cpu;

/// <summary>A row of the output, float32 or float16.</summary>
internal readonly unsafe ref struct OutputRow
{
    private readonly float* _float;
    private readonly Half* _half;

    public OutputRow(in TensorView output, int b, int h, int i)
    {
        if (output.Type == ElementType.Float32)
        {
            _float = output.Float(b, h, i);
        }
        else
        {
            _half = output.Half(b, h, i);
        }
    }

    /// <summary>Sets element <paramref name="d"/>, rounded to the output's type.</summary>
    public float this[int d]
    {
        set
        {
            if (_float != null)
            {
                _float[d] = value;
            }
            else
            {
                _half[d] = (Half)value;
            }
        }
    }
}
