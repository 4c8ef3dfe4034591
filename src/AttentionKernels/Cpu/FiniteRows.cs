using System.Numerics;

namespace AttentionKernels.Cpu;

/// <summary>Whether values may be multiplied by the exponential 0 of a key that a row does not see.</summary>
internal static unsafe class FiniteRows
{
    /// <summary>Whether no value of <paramref name="count"/> rows is NaN or infinite.</summary>
    public static bool All<V>(float* rows, nint stride, int count, int size)
        where V : struct, IVector<V>
    {
        V infinity = V.Broadcast(float.PositiveInfinity);
        for (int n = 0; n < count; n++, rows += stride)
        {
            int d = 0;
            for (; d + V.Count <= size; d += V.Count)
            {
                if (!V.All(V.LessThan(V.Abs(V.Load(rows + d)), infinity)))
                {
                    return false;
                }
            }
            for (; d < size; d++)
            {
                if (!float.IsFinite(rows[d]))
                {
                    return false;
                }
            }
        }
        return true;
    }

    /// <summary>Those of <paramref name="rows"/>, a bit for each, in which some value is NaN or infinite.</summary>
    public static ulong Exceptions<V>(float* values, nint stride, ulong rows, int size)
        where V : struct, IVector<V>
    {
        ulong found = 0;
        for (; rows != 0; rows &= rows - 1)
        {
            int n = BitOperations.TrailingZeroCount(rows);
            found |= All<V>(values + (n * stride), stride, 1, size) ? 0 : 1ul << n;
        }
        return found;
    }
}
