using System.Numerics;
using AttentionKernels.Cpu;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>What happens to every row of a tensor before attention: a projection bias is added, or it is rotated. <c>default</c>: nothing.</summary>
internal unsafe struct RowTransform
{
    /// <summary>Rotation of query and keys.</summary>
    public RotaryEmbedding Rotary;

    /// <summary>[heads, D] in the tensor's type; null: none.</summary>
    public void* Bias;

    /// <summary>Whether rows stay as they are.</summary>
    public readonly bool IsIdentity => Rotary.Pairs == 0 && Bias == null;

    /// <summary>Reads the row (b, h, s) as float32 and transforms it.</summary>
    /// <param name="source">The tensor.</param>
    /// <param name="b">Batch element.</param>
    /// <param name="h">Head.</param>
    /// <param name="s">Row.</param>
    /// <param name="offset">Position of row 0.</param>
    /// <param name="size">D.</param>
    /// <param name="row">[D] receives the row.</param>
    /// <param name="memory">[D] working memory.</param>
    public readonly void Apply(in TensorView source, int b, int h, int s, int offset, int size, float* row, float* memory)
    {
        ElementRows.Widen(source.Type, source.Row(b, h, s), row, size);
        if (Bias != null)
        {
            ElementRows.Widen(source.Type, (byte*)Bias + ((long)h * size * source.Type.Size()), memory, size);
            int d = 0;
            for (; d + Vector<float>.Count <= size; d += Vector<float>.Count)
            {
                (Vector.Load(row + d) + Vector.Load(memory + d)).Store(row + d);
            }
            for (; d < size; d++)
            {
                row[d] += memory[d];
            }
        }
        if (Rotary.Pairs != 0)
        {
            Rotary.Rotate(row, b, s, offset, memory);
        }
    }
}
