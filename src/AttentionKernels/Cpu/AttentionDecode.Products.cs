using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AttentionKernels.Cpu;

/// <content>Dot products with keys, sums of values.</content>
internal static unsafe partial class AttentionDecode<V>
{
    /// <summary>scores[r, 0] and scores[r, second] for 4 rows and 2 keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dot4x2(float* q, int stride, float* k0, float* k1, int size, float* scores, int second)
    {
        float* q1 = q + stride, q2 = q1 + stride, q3 = q2 + stride;
        V a0 = V.Broadcast(0f), b0 = a0, c0 = a0, d0 = a0, a1 = a0, b1 = a0, c1 = a0, d1 = a0;
        int d = 0;
        for (; d + V.Count <= size; d += V.Count)
        {
            V x0 = V.Load(k0 + d), x1 = V.Load(k1 + d);
            V y = V.Load(q + d);
            V.Accumulate(y, x0, ref a0);
            V.Accumulate(y, x1, ref a1);
            y = V.Load(q1 + d);
            V.Accumulate(y, x0, ref b0);
            V.Accumulate(y, x1, ref b1);
            y = V.Load(q2 + d);
            V.Accumulate(y, x0, ref c0);
            V.Accumulate(y, x1, ref c1);
            y = V.Load(q3 + d);
            V.Accumulate(y, x0, ref d0);
            V.Accumulate(y, x1, ref d1);
        }
        Vector128<float> first = Sums(a0, b0, c0, d0), other = Sums(a1, b1, c1, d1);
        // The second of an odd last pair is the first again.
        for (int r = 0; r < RowGroup; r++, q += stride, scores += ChunkKeys)
        {
            scores[second] = other[r] + Tail(q, k1, d, size);
            scores[0] = first[r] + Tail(q, k0, d, size);
        }
    }

    /// <summary>scores[0..7] for one row and 8 keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dot1x8(float* q, float* k, nint stride, int size, float* scores)
    {
        float* k3 = k + (3 * stride), k6 = k3 + (3 * stride);
        V a0 = V.Broadcast(0f), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
        int d = 0;
        for (; d + V.Count <= size; d += V.Count)
        {
            V y = V.Load(q + d);
            V.Accumulate(y, V.Load(k + d), ref a0);
            V.Accumulate(y, V.Load(k + stride + d), ref a1);
            V.Accumulate(y, V.Load(k + (2 * stride) + d), ref a2);
            V.Accumulate(y, V.Load(k3 + d), ref a3);
            V.Accumulate(y, V.Load(k3 + stride + d), ref a4);
            V.Accumulate(y, V.Load(k3 + (2 * stride) + d), ref a5);
            V.Accumulate(y, V.Load(k6 + d), ref a6);
            V.Accumulate(y, V.Load(k6 + stride + d), ref a7);
        }
        Sums(a0, a1, a2, a3).Store(scores);
        Sums(a4, a5, a6, a7).Store(scores + 4);
        for (int n = 0; d < size && n < 8; n++)
        {
            scores[n] += Tail(q, k + (n * stride), d, size);
        }
    }

    /// <summary>The sum of each vector's lanes, in the order of <see cref="Sum"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Sums(V a, V b, V c, V d)
    {
        Vector128<float> w = V.Fold(a), x = V.Fold(b), y = V.Fold(c), z = V.Fold(d);
        LaneTranspose.Transpose(ref w, ref x, ref y, ref z);
        return (w + x) + (y + z);
    }

    /// <summary>The sum of a vector's lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Sum(V a)
    {
        Vector128<float> parts = V.Fold(a);
        return (parts[0] + parts[1]) + (parts[2] + parts[3]);
    }

    private static float Dot(float* q, float* k, int size)
    {
        V sum = V.Broadcast(0f);
        int d = 0;
        for (; d + V.Count <= size; d += V.Count)
        {
            V.Accumulate(V.Load(q + d), V.Load(k + d), ref sum);
        }
        return Sum(sum) + Tail(q, k, d, size);
    }

    /// <summary>The elements that fill no vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Tail(float* q, float* k, int d, int size)
    {
        float sum = 0;
        for (; d < size; d++)
        {
            sum += q[d] * k[d];
        }
        return sum;
    }

    /// <summary>
    /// Adds p v over the keys [lo, hi) to the output of all rows, and to their aligned output where there is some. To be checked is whether a
    /// value is not finite, which must not reach rows that do not see its key: their exponentials are -0.
    /// </summary>
    private static void AddValues(in AttentionProblem problem, in Rows rows, int start, int lo, int hi, bool check, bool anyAligned, in DecodeMemory memory)
    {
        int size = problem.ValueHeadSize;
        bool widen = problem.Value.Type != ElementType.Float32;
        for (int key = lo; key < hi; key += DecodeMemory.WidenedKeys)
        {
            int keys = Math.Min(DecodeMemory.WidenedKeys, hi - key);
            float* v = widen ? memory.Value : problem.Value.Float(rows.Batch, rows.KvHead, key);
            nint stride = widen ? size : (nint)problem.Value.RowStride;
            for (int n = 0; widen && n < keys; n++)
            {
                ElementRows.Widen(problem.Value.Type, problem.Value.Row(rows.Batch, rows.KvHead, key + n), v + (n * stride), size);
            }
            bool finite = !check || FiniteRows.All<V>(v, stride, keys, size);
            AddRows(rows, v, stride, memory.Scores + (key - start), keys, size, finite, memory.Output, memory.OutputStride);
            if (anyAligned)
            {
                AddRows(rows, v, stride, memory.AlignedScores + (key - start), keys, size, finite, memory.AlignedOutput, memory.OutputStride);
            }
        }
    }

    private static void AddRows(in Rows rows, float* v, nint stride, float* p, int keys, int size, bool finite, float* output, int outputStride)
    {
        if (!finite)
        {
            for (int r = 0; r < rows.Count; r++)
            {
                for (int n = 0; n < keys; n++)
                {
                    float weight = p[(r * ChunkKeys) + n];
                    if (weight != 0 || !float.IsNegative(weight))
                    {
                        Add(weight, v + (n * stride), size, output + (r * outputStride));
                    }
                }
            }
            return;
        }
        if (rows.Count == 1)
        {
            int n = 0;
            for (; n + 4 <= keys; n += 4)
            {
                Add1x4(p + n, v + (n * stride), stride, size, output);
            }
            for (; n < keys; n++)
            {
                Add(p[n], v + (n * stride), size, output);
            }
            return;
        }
        for (int r = 0; r < rows.Padded; r += RowGroup)
        {
            int n = 0;
            for (; n + 2 <= keys; n += 2)
            {
                Add4x2(p + (r * ChunkKeys) + n, v + (n * stride), stride, size, output + (r * outputStride), outputStride);
            }
            for (int q = r; n < keys && q < r + RowGroup; q++)
            {
                Add(p[(q * ChunkKeys) + n], v + (n * stride), size, output + (q * outputStride));
            }
        }
    }

    /// <summary>output[r] += p[r, 0] v[0] + p[r, 1] v[1] for 4 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add4x2(float* p, float* v, nint stride, int size, float* output, int outputStride)
    {
        float* o1 = output + outputStride, o2 = o1 + outputStride, o3 = o2 + outputStride;
        V a0 = V.Broadcast(p[0]), a1 = V.Broadcast(p[1]), b0 = V.Broadcast(p[ChunkKeys]), b1 = V.Broadcast(p[ChunkKeys + 1]);
        V c0 = V.Broadcast(p[2 * ChunkKeys]), c1 = V.Broadcast(p[(2 * ChunkKeys) + 1]), d0 = V.Broadcast(p[3 * ChunkKeys]), d1 = V.Broadcast(p[(3 * ChunkKeys) + 1]);
        int d = 0;
        for (; d + V.Count <= size; d += V.Count)
        {
            V x0 = V.Load(v + d), x1 = V.Load(v + stride + d);
            V.Store(V.MultiplyAdd(a1, x1, V.MultiplyAdd(a0, x0, V.Load(output + d))), output + d);
            V.Store(V.MultiplyAdd(b1, x1, V.MultiplyAdd(b0, x0, V.Load(o1 + d))), o1 + d);
            V.Store(V.MultiplyAdd(c1, x1, V.MultiplyAdd(c0, x0, V.Load(o2 + d))), o2 + d);
            V.Store(V.MultiplyAdd(d1, x1, V.MultiplyAdd(d0, x0, V.Load(o3 + d))), o3 + d);
        }
        for (; d < size; d++)
        {
            for (int r = 0; r < RowGroup; r++)
            {
                ref float at = ref output[(r * outputStride) + d];
                at += p[r * ChunkKeys] * v[d];
                at += p[(r * ChunkKeys) + 1] * v[stride + d];
            }
        }
    }

    /// <summary>output += p[0] v[0] + ... + p[3] v[3] for one row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add1x4(float* p, float* v, nint stride, int size, float* output)
    {
        float* v2 = v + (2 * stride);
        V p0 = V.Broadcast(p[0]), p1 = V.Broadcast(p[1]), p2 = V.Broadcast(p[2]), p3 = V.Broadcast(p[3]);
        int d = 0;
        for (; d + V.Count <= size; d += V.Count)
        {
            V sum = V.MultiplyAdd(p1, V.Load(v + stride + d), V.MultiplyAdd(p0, V.Load(v + d), V.Load(output + d)));
            V.Store(V.MultiplyAdd(p3, V.Load(v2 + stride + d), V.MultiplyAdd(p2, V.Load(v2 + d), sum)), output + d);
        }
        for (; d < size; d++)
        {
            for (int n = 0; n < 4; n++)
            {
                output[d] += p[n] * v[(n * stride) + d];
            }
        }
    }

    private static void Add(float p, float* v, int size, float* output)
    {
        V weight = V.Broadcast(p);
        int d = 0;
        for (; d + V.Count <= size; d += V.Count)
        {
            V.Store(V.MultiplyAdd(weight, V.Load(v + d), V.Load(output + d)), output + d);
        }
        for (; d < size; d++)
        {
            output[d] += p * v[d];
        }
    }
}
