using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace AttentionKernels.Cpu;

/// <summary>
/// Rows of the next tile of K and of V, asked for a little at a time while the current one is multiplied: a processor has about a dozen
/// outstanding lines of memory, so that all at once would only move the wait. Rows that lie in different pages have no other help, since the
/// hardware's own prefetching ends at a page.
/// </summary>
internal unsafe struct TilePrefetch
{
    private const int LineBytes = 64, RowsPerStep = 2;

    private byte* _key, _value;
    private nint _keyStride, _valueStride;
    private int _keyBytes, _valueBytes, _rows, _next;

    /// <summary>Rows [first, first + rows) of K, then those of V.</summary>
    public static TilePrefetch Of(in AttentionProblem problem, int b, int head, int first, int rows) => new()
    {
        _key = (byte*)problem.Key.Row(b, head, first),
        _keyStride = (nint)problem.Key.RowStride * problem.Key.Type.Size(),
        _keyBytes = problem.HeadSize * problem.Key.Type.Size(),
        _value = problem.Value.IsEmpty ? null : (byte*)problem.Value.Row(b, head, first),
        _valueStride = (nint)problem.Value.RowStride * problem.Value.Type.Size(),
        _valueBytes = problem.Value.IsEmpty ? 0 : problem.ValueHeadSize * problem.Value.Type.Size(),
        _rows = rows,
    };

    /// <summary>Asks for the next rows; does nothing when all were asked for or <paramref name="ahead"/> is null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Step(TilePrefetch* ahead)
    {
        if (Sse.IsSupported && ahead != null && ahead->_next < 2 * ahead->_rows)
        {
            ahead->Ask();
        }
    }

    private void Ask()
    {
        for (int end = Math.Min(_next + RowsPerStep, 2 * _rows); _next < end; _next++)
        {
            bool isKey = _next < _rows;
            byte* row = isKey ? _key + (_next * _keyStride) : _value + ((_next - _rows) * _valueStride);
            for (int at = 0, bytes = isKey ? _keyBytes : _valueBytes; at < bytes; at += LineBytes)
            {
                Sse.Prefetch1(row + at);
            }
        }
    }
}
