using System.Numerics;
using System.Runtime.Intrinsics;
using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>
/// Rotary position embedding with cached cosines and sines: dimension pairs (x, y) become (x cos - y sin, y cos + x sin). A pair is
/// (i, i + R / 2), or (2i, 2i + 1) when interleaved, of the first R dimensions of a head; the rest stay. <c>default</c> rotates nothing.
/// </summary>
internal readonly unsafe struct RotaryEmbedding
{
    private readonly void* _cos;
    private readonly void* _sin;
    private readonly ElementType _type;
    private readonly bool _interleaved;
    private readonly long* _positions;
    private readonly int _rows;
    private readonly bool _counted;

    private RotaryEmbedding(void* cos, void* sin, ElementType type, bool interleaved, long* positions, bool counted, int rows, int pairs)
    {
        _cos = cos;
        _sin = sin;
        _type = type;
        _interleaved = interleaved;
        _positions = positions;
        _counted = counted;
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
    /// <param name="problem">Sizes, and the position of row 0 where there are no position_ids.</param>
    /// <param name="newKeys">Rows of input key.</param>
    /// <param name="counted">Whether position_ids say where the very first row is, and every element's rows count on from there.</param>
    public static RotaryEmbedding Read(
        in KernelContext context, int cosIndex, ElementType type, bool interleaved, in AttentionProblem problem, int newKeys, bool counted = false)
    {
        RotaryInputs inputs = RotaryInputs.Read(context, cosIndex, problem, newKeys);
        int rows = problem.QueryLength;
        long* positions = (long*)inputs.PositionIds;
        RotaryEmbedding rotary = new(inputs.Cos, inputs.Sin, type, interleaved, positions, counted, rows, inputs.Pairs);
        for (int b = 0; b < problem.Batch; b++)
        {
            for (int s = 0; s < rows; s++)
            {
                long position = rotary.Position(b, s, problem.OffsetOf(b));
                if (position < 0 || position >= inputs.Positions)
                {
                    string range = $"expected 0..{inputs.Positions - 1}, the rows of input 'cos_cache'";
                    throw Argument.Error(positions != null
                        ? $"input 'position_ids' has {position} at [{b},{s}], {range}"
                        : $"row {s} of batch element {b} is at position {position}, {range}");
                }
            }
        }
        return rotary;
    }

    /// <summary>Rotates one head of row s of batch element b in place.</summary>
    /// <param name="row">[D].</param>
    /// <param name="b">Batch element.</param>
    /// <param name="s">Row of this call.</param>
    /// <param name="offset">Position of row 0.</param>
    /// <param name="memory">[2 * Pairs] working memory.</param>
    public void Rotate(float* row, int b, int s, int offset, float* memory)
    {
        long at = Position(b, s, offset) * Pairs;
        float* cos = (float*)_cos + at, sin = (float*)_sin + at;
        if (_type != ElementType.Float32)
        {
            cos = memory;
            sin = memory + Pairs;
            ElementRows.Widen(_type, (ushort*)_cos + at, cos, Pairs);
            ElementRows.Widen(_type, (ushort*)_sin + at, sin, Pairs);
        }
        if (_interleaved)
        {
            RotateNeighbours(row, cos, sin);
        }
        else
        {
            RotateHalves(row, cos, sin);
        }
    }

    private void RotateHalves(float* row, float* cos, float* sin)
    {
        int i = 0;
        for (; i + Vector<float>.Count <= Pairs; i += Vector<float>.Count)
        {
            Vector<float> x = Vector.Load(row + i), y = Vector.Load(row + Pairs + i), c = Vector.Load(cos + i), s = Vector.Load(sin + i);
            ((x * c) - (y * s)).Store(row + i);
            ((y * c) + (x * s)).Store(row + Pairs + i);
        }
        for (; i < Pairs; i++)
        {
            (row[i], row[Pairs + i]) = ((row[i] * cos[i]) - (row[Pairs + i] * sin[i]), (row[Pairs + i] * cos[i]) + (row[i] * sin[i]));
        }
    }

    private void RotateNeighbours(float* row, float* cos, float* sin)
    {
        int i = 0;
        for (; i + Vector128<float>.Count <= Pairs; i += Vector128<float>.Count)
        {
            Vector128<float> c = Vector128.Load(cos + i), s = Vector128.Load(sin + i);
            RotateTwo(row + (2 * i), Vector128.Shuffle(c, Vector128.Create(0, 0, 1, 1)), Vector128.Shuffle(s, Vector128.Create(0, 0, 1, 1)));
            RotateTwo(row + (2 * i) + 4, Vector128.Shuffle(c, Vector128.Create(2, 2, 3, 3)), Vector128.Shuffle(s, Vector128.Create(2, 2, 3, 3)));
        }
        for (; i < Pairs; i++)
        {
            float x = row[2 * i], y = row[(2 * i) + 1];
            row[2 * i] = (x * cos[i]) - (y * sin[i]);
            row[(2 * i) + 1] = (y * cos[i]) + (x * sin[i]);
        }

        // (x0, y0, x1, y1) * cos + (-y0, x0, -y1, x1) * sin
        static void RotateTwo(float* pairs, Vector128<float> cos, Vector128<float> sin)
        {
            Vector128<float> v = Vector128.Load(pairs), swapped = Vector128.Shuffle(v, Vector128.Create(1, 0, 3, 2)) * Vector128.Create(-1f, 1f, -1f, 1f);
            ((v * cos) + (swapped * sin)).Store(pairs);
        }
    }

    private long Position(int b, int s, int offset) =>
        _positions == null ? (long)offset + s : _counted ? unchecked(_positions[0] + s) : _positions[((long)b * _rows) + s];
}
