namespace AttentionKernels.Cpu;

/// <summary>Rows of any element type to and from float32.</summary>
internal static unsafe class ElementRows
{
    /// <summary>Widens <paramref name="count"/> values, exactly.</summary>
    public static void Widen(ElementType type, void* source, float* target, int count)
    {
        switch (type)
        {
            case ElementType.Float16:
                HalfRows.Widen((Half*)source, target, count);
                break;
            case ElementType.BFloat16:
                BFloat16Rows.Widen((BFloat16*)source, target, count);
                break;
            default:
                new ReadOnlySpan<float>(source, count).CopyTo(new Span<float>(target, count));
                break;
        }
    }

    /// <summary>Rounds <paramref name="count"/> values to nearest, ties to even.</summary>
    public static void Narrow(ElementType type, float* source, void* target, int count)
    {
        switch (type)
        {
            case ElementType.Float16:
                HalfRows.Narrow(source, (Half*)target, count);
                break;
            case ElementType.BFloat16:
                BFloat16Rows.Narrow(source, (BFloat16*)target, count);
                break;
            default:
                new ReadOnlySpan<float>(source, count).CopyTo(new Span<float>(target, count));
                break;
        }
    }
}
