namespace AttentionKernels;

/// <summary>What an <see cref="ElementType"/> says about memory.</summary>
internal static class ElementTypes
{
    /// <summary>Bytes of an element.</summary>
    public static int Size(this ElementType type) => type == ElementType.Float32 ? sizeof(float) : sizeof(ushort);

    /// <summary>Reads one element. For single values; rows go through <see cref="Cpu.ElementRows"/>.</summary>
    /// <param name="type">Type of the elements.</param>
    /// <param name="data">Element 0.</param>
    /// <param name="at">Which one.</param>
    public static unsafe float Load(this ElementType type, void* data, long at) => type switch
    {
        ElementType.Float32 => ((float*)data)[at],
        ElementType.Float16 => (float)((Half*)data)[at],
        _ => (float)((BFloat16*)data)[at],
    };

    /// <summary>Writes one element, rounded to nearest, ties to even.</summary>
    /// <param name="type">Type of the elements.</param>
    /// <param name="data">Element 0.</param>
    /// <param name="at">Which one.</param>
    /// <param name="value">Its value.</param>
    public static unsafe void Store(this ElementType type, void* data, long at, float value)
    {
        switch (type)
        {
            case ElementType.Float32:
                ((float*)data)[at] = value;
                break;
            case ElementType.Float16:
                ((Half*)data)[at] = (Half)value;
                break;
            default:
                ((BFloat16*)data)[at] = (BFloat16)value;
                break;
        }
    }
}
