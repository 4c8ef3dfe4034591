using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>
/// key_padding_mask of com.microsoft::MultiHeadAttention as what it adds to logits: 0, or the filter value for hidden keys. It is a number and not
/// a mask: a row whose keys are all hidden attends to them as if none were. Dispose after the call.
/// </summary>
internal unsafe ref struct KeyPaddingMask
{
    private ScratchBuffer _memory;
    private int _rows;

    /// <summary>
    /// Reads lengths [B] or [3 B + 2], keys [B, T], or rows and keys [B, S, T]; in the latter two, 0 and less hides. Nothing hidden, as in most calls:
    /// no mask.
    /// </summary>
    public static KeyPaddingMask Read(in KernelContext context, int index, float filter, in AttentionProblem problem)
    {
        if (!context.TryGetInput(index, out TensorArgument mask))
        {
            return default;
        }
        CheckShape(mask, problem);
        int batch = problem.Batch, rows = problem.QueryLength, keys = problem.KeyLength;
        bool lengths = mask.Rank == 1, perRow = mask.Rank == 3;
        int* given = (int*)mask.Data;
        if (lengths ? new ReadOnlySpan<int>(given, batch).IndexOfAnyExceptInRange(keys, int.MaxValue) < 0 : AllShown(given, mask.ElementCount))
        {
            return default;
        }
        KeyPaddingMask result = new() { _rows = perRow ? rows : 1 };
        long count = (long)batch * result._rows * keys;
        result._memory = context.Scratch(count, sizeof(float));
        float* added = (float*)result._memory.Data;
        for (long i = 0; i < count; i++)
        {
            added[i] = (lengths ? i % keys < given[i / keys] : given[i] > 0) ? 0 : filter;
        }
        return result;
    }

    /// <summary>Throws unless a mask has one of its shapes, which its rank then tells.</summary>
    public static void CheckShape(in TensorArgument mask, in AttentionProblem problem)
    {
        int batch = problem.Batch, rows = problem.QueryLength, keys = problem.KeyLength;
        bool lengths = mask.Rank == 1 && (mask.Shape[0] == batch || mask.Shape[0] == (3L * batch) + 2);
        bool perKey = mask.Rank == 2 && mask.Shape[0] == batch && mask.Shape[1] == keys;
        bool perRow = mask.Rank == 3 && mask.Shape[0] == batch && mask.Shape[1] == rows && mask.Shape[2] == keys;
        if (!lengths && !perKey && !perRow)
        {
            throw Argument.Error(
                $"input 'key_padding_mask' has shape {Argument.Text(mask.Shape)}, expected [{batch}] = [B], [{(3L * batch) + 2}] = [3 B + 2], "
                + $"[{batch},{keys}] = [B, T] or [{batch},{rows},{keys}] = [B, S, T]");
        }
    }

    /// <summary>Adds the mask to the problem's bias.</summary>
    /// <returns>Memory of the sum, to be disposed after the call.</returns>
    public readonly ScratchBuffer AddTo(in KernelContext context, ref AttentionProblem problem)
    {
        if (_rows == 0)
        {
            return default;
        }
        float* mask = (float*)_memory.Data;
        long keys = problem.KeyLength, row = _rows == 1 ? 0 : keys;
        TensorView bias = problem.Bias;
        if (bias.IsEmpty)
        {
            problem.Bias = new TensorView(mask, ElementType.Float32, _rows * keys, 0, row);
            return default;
        }
        int heads = bias.HeadStride == 0 ? 1 : problem.Heads, rows = problem.QueryLength;
        ScratchBuffer memory = context.Scratch(checked(problem.Batch * heads * rows * keys), sizeof(float));
        float* sum = (float*)memory.Data;
        for (int b = 0; b < problem.Batch; b++)
        {
            for (int h = 0; h < heads; h++)
            {
                for (int i = 0; i < rows; i++, sum += keys)
                {
                    ElementRows.Widen(bias.Type, bias.Row(b, h, i), sum, (int)keys);
                    float* added = mask + (b * _rows * keys) + (i * row);
                    for (int j = 0; j < keys; j++)
                    {
                        sum[j] += added[j];
                    }
                }
            }
        }
        problem.Bias = new TensorView(memory.Data, ElementType.Float32, heads * rows * keys, heads == 1 ? 0 : rows * keys, keys);
        return memory;
    }

    public void Dispose() => _memory.Dispose();

    private static bool AllShown(int* mask, long count)
    {
        for (long i = 0; i < count; i++)
        {
            if (mask[i] <= 0)
            {
                return false;
            }
        }
        return true;
    }
}
