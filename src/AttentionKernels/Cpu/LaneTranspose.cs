using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AttentionKernels.Cpu;

/// <summary>
/// Rows in memory to columns of a [size, <see cref="Gemm.Pitch"/>] matrix and back, four rows at a time: how a block's queries come in and its
/// outputs go out. 4 x 4 transposes cost about half a cycle an element; element by element it was a third of a short prefill's time.
/// </summary>
internal static unsafe class LaneTranspose
{
    /// <summary>Rows that go together.</summary>
    public const int Rows = 4;

    /// <summary>matrix[d, 0..3] = rows[0..3][d] * factor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Load(float* row0, float* row1, float* row2, float* row3, int size, float factor, float* matrix)
    {
        int d = 0;
        for (; d + 4 <= size; d += 4, matrix += 4 * Gemm.Pitch)
        {
            Vector128<float> a = Vector128.Load(row0 + d), b = Vector128.Load(row1 + d), c = Vector128.Load(row2 + d), e = Vector128.Load(row3 + d);
            Transpose(ref a, ref b, ref c, ref e);
            (a * factor).Store(matrix);
            (b * factor).Store(matrix + Gemm.Pitch);
            (c * factor).Store(matrix + (2 * Gemm.Pitch));
            (e * factor).Store(matrix + (3 * Gemm.Pitch));
        }
        for (; d < size; d++, matrix += Gemm.Pitch)
        {
            (Vector128.Create(row0[d], row1[d], row2[d], row3[d]) * factor).Store(matrix);
        }
    }

    /// <summary>rows[0..3][d] = matrix[d, 0..3] * factors[0..3].</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Store(float* matrix, Vector128<float> factors, int size, float* row0, float* row1, float* row2, float* row3)
    {
        int d = 0;
        for (; d + 4 <= size; d += 4, matrix += 4 * Gemm.Pitch)
        {
            Vector128<float> a = Vector128.Load(matrix) * factors, b = Vector128.Load(matrix + Gemm.Pitch) * factors;
            Vector128<float> c = Vector128.Load(matrix + (2 * Gemm.Pitch)) * factors, e = Vector128.Load(matrix + (3 * Gemm.Pitch)) * factors;
            Transpose(ref a, ref b, ref c, ref e);
            a.Store(row0 + d);
            b.Store(row1 + d);
            c.Store(row2 + d);
            e.Store(row3 + d);
        }
        for (; d < size; d++, matrix += Gemm.Pitch)
        {
            Vector128<float> values = Vector128.Load(matrix) * factors;
            (row0[d], row1[d], row2[d], row3[d]) = (values[0], values[1], values[2], values[3]);
        }
    }

    /// <summary>Four rows to four columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Transpose(ref Vector128<float> a, ref Vector128<float> b, ref Vector128<float> c, ref Vector128<float> d)
    {
        // Interleave rows 0 and 2, 1 and 3, then those: each step is one unpack.
        Vector128<float> ac0 = Low(a, c), ac1 = High(a, c), bd0 = Low(b, d), bd1 = High(b, d);
        (a, b, c, d) = (Low(ac0, bd0), High(ac0, bd0), Low(ac1, bd1), High(ac1, bd1));
    }

    /// <summary>a0 b0 a1 b1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Low(Vector128<float> a, Vector128<float> b) => System.Runtime.Intrinsics.X86.Sse.IsSupported
        ? System.Runtime.Intrinsics.X86.Sse.UnpackLow(a, b)
        : Vector128.Create(a[0], b[0], a[1], b[1]);

    /// <summary>a2 b2 a3 b3.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> High(Vector128<float> a, Vector128<float> b) => System.Runtime.Intrinsics.X86.Sse.IsSupported
        ? System.Runtime.Intrinsics.X86.Sse.UnpackHigh(a, b)
        : Vector128.Create(a[2], b[2], a[3], b[3]);
}
