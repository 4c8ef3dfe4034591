using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>
/// Rotary position embedding with cached cosines and sines: dimension pairs (x, y) become (x cos - y sin, y cos + x sin). A pair is
/// (i, i + R / 2), or (2i, 2i + 1) when interleaved, of the first R dimensions of a head; the rest stay.
/// </summary>
internal readonly unsafe ref struct RotaryEmbedding
{
    private readonly void* _cos;
    private readonly void* _sin;
    private readonly ElementType _type;
    private readonly bool _interleaved;
    private readonly long* _positions;
    private readonly int _rows;

    private RotaryEmbedding(void* cos, void* sin, ElementType type, bool interleaved, long* positions, int rows, int pairs)
    {
        _cos = cos;
        _sin = sin;
        _type = type;
        _interleaved = interleaved;
        _positions = positions;
        _rows = rows;
        Pairs = pairs;
    }

    /// <summary>R / 2.</summary>
    public int Pairs { get; }

    /// <summary>Reads and checks the caches [max positions, R / 2] and the optional position_ids [B, S].</summary>
    /// <param name="context">Node.</param>
    /// <param name="cosIndex">Position of input cos_cache; sin_cache and position_ids follow it.</param>
    /// <param name="type">Type of the caches.</param>
    /// <param name="interleaved">How dimensions pair up.</param>
    /// <param name="headSize">D.</param>
    /// <param name="offsets">[B] position of row 0, where there are no position_ids.</param>
    /// <param name="rows">Rows S.</param>
    public static RotaryEmbedding Read(
        scoped in KernelContext context, int cosIndex, ElementType type, bool interleaved, int headSize, scoped ReadOnlySpan<int> offsets, int rows)
    {
        TensorArgument cos = Argument.Required(context, cosIndex, "cos_cache"), sin = Argument.Required(context, cosIndex + 1, "sin_cache");
        Argument.CheckShape(cos, "cos_cache", "[max positions, R / 2]", Argument.Any, Argument.Any);
        Argument.CheckShape(sin, "sin_cache", "[max positions, R / 2], as cos_cache", cos.Shape);
        int pairs = Argument.Dimension(cos, "cos_cache", 1);
        if (cos.Shape[0] == 0)
        {
            throw Argument.Error($"input 'cos_cache' has shape [0,{pairs}], expected at least one row");
        }
        if (2L * pairs > headSize)
        {
            throw Argument.Error($"input 'cos_cache' has {pairs} columns, expected at most {headSize / 2} = D / 2");
        }
        long* positions = null;
        if (context.TryGetInput(cosIndex + 2, out TensorArgument ids))
        {
            Argument.CheckShape(ids, "position_ids", "[B, S]", offsets.Length, rows);
            positions = (long*)ids.Data;
        }
        RotaryEmbedding rotary = new(cos.Data, sin.Data, type, interleaved, positions, rows, pairs);
        for (int b = 0; b < offsets.Length; b++)
        {
            for (int s = 0; s < rows; s++)
            {
                long position = rotary.Position(b, s, offsets[b]);
                if (position < 0 || position >= cos.Shape[0])
                {
                    string range = $"expected 0..{cos.Shape[0] - 1}, the rows of input 'cos_cache'";
                    throw Argument.Error(positions != null
                        ? $"input 'position_ids' has {position} at [{b},{s}], {range}"
                        : $"row {s} of batch element {b} is at position {position}, {range}");
                }
            }
        }
        return rotary;
    }

    /// <summary>Rotates row s of batch element b from <paramref name="source"/> into float32 <paramref name="target"/> [D].</summary>
    public void Rotate(in TensorView source, int b, int h, int s, int offset, float* target, int headSize)
    {
        long at = Position(b, s, offset) * Pairs;
        for (int d = 2 * Pairs; d < headSize; d++)
        {
            target[d] = source.Load(b, h, s, d);
        }
        for (int i = 0; i < Pairs; i++)
        {
            (int first, int second) = _interleaved ? (2 * i, (2 * i) + 1) : (i, i + Pairs);
            float x = source.Load(b, h, s, first), y = source.Load(b, h, s, second);
            float cos = Read(_cos, at + i), sin = Read(_sin, at + i);
            target[first] = (x * cos) - (y * sin);
            target[second] = (y * cos) + (x * sin);
        }
    }

    private long Position(int b, int s, int offset) => _positions == null ? (long)offset + s : _positions[((long)b * _rows) + s];

    private float Read(void* cache, long at) => _type.Load(cache, at);
}
