using System.Numerics;

namespace AttentionKernels.Cpu;

/// <content>Loading a block and a tile, logits, roles of a tile, the product with V.</content>
internal static unsafe partial class AttentionBlock<V>
{
    /// <summary>The roles of the block's rows of U, each once, with the lanes that have it.</summary>
    private static int CollectRoles(AttentionCall* call, int b, int lanes, in BlockMemory memory)
    {
        int count = 0;
        for (int lane = 0; lane < lanes; lane++)
        {
            if (memory.Spoken[lane] < 0)
            {
                continue;
            }
            call->Bias.TryGetSpokenRow(call->Problem, b, memory.Row[lane], out TokenRoles roles, out int token);
            Role role = Role.Of(roles, b, token);
            int n = 0;
            while (n < count && memory.Roles[n] != role)
            {
                n++;
            }
            if (n == count)
            {
                memory.Roles[count] = role;
                memory.RoleLanes[count++] = 0;
            }
            memory.RoleLanes[n] |= 1ul << lane;
        }
        return count;
    }

    /// <summary>Query rows, scaled and transposed; lanes beyond the last row are 0.</summary>
    private static void LoadQuery(in AttentionProblem problem, int b, int lanes, int width, in BlockMemory memory)
    {
        for (int lane = 0; lane < width; lane++)
        {
            for (int d = 0; d < problem.HeadSize; d++)
            {
                memory.Query[(d * Pitch) + lane] = lane < lanes ? problem.Query.Load(b, memory.Head[lane], memory.Row[lane], d) * problem.Scale : 0f;
            }
        }
    }

    private static void Start(AttentionCall* call, int width, bool spoken, bool split, in BlockMemory memory)
    {
        int valueSize = call->Problem.Value.IsEmpty ? 0 : call->Problem.ValueHeadSize;
        new Span<float>(memory.Max, Pitch).Fill(float.NegativeInfinity);
        new Span<float>(memory.Sum, Pitch).Clear();
        new Span<float>(memory.Output, valueSize * Pitch).Clear();
        if (spoken)
        {
            new Span<float>(memory.MaxAligned, Pitch).Fill(float.NegativeInfinity);
            new Span<float>(memory.SumAligned, Pitch).Clear();
            new Span<float>(memory.MaxBoxed, Pitch).Fill(float.NegativeInfinity);
            new Span<float>(memory.SumBoxed, Pitch).Clear();
            new Span<float>(memory.SpeakerSums, call->Bias.SpeakerCount * Pitch).Clear();
        }
        if (split)
        {
            new Span<float>(memory.AlignedOutput, valueSize * Pitch).Clear();
        }
    }

    /// <summary>Rows of K or V as float32: where they lie, or widened into <paramref name="buffer"/>.</summary>
    private static float* Rows(in TensorView tensor, int b, int head, int key, int keys, int size, float* buffer, out nint stride)
    {
        if (tensor.Type == ElementType.Float32)
        {
            stride = (nint)tensor.RowStride;
            return tensor.Float(b, head, key);
        }
        stride = size;
        for (int n = 0; n < keys; n++)
        {
            ElementRows.Widen(tensor.Type, tensor.Row(b, head, key + n), buffer + (n * size), size);
        }
        return buffer;
    }

    /// <summary>Soft-cap, additive bias and masks, in this order.</summary>
    private static void FinishLogits(in AttentionProblem problem, int b, int key, int keys, int lanes, int width, bool masked, in BlockMemory memory)
    {
        if (problem.Softcap > 0)
        {
            V cap = V.Broadcast(problem.Softcap);
            for (int n = 0; n < keys; n++)
            {
                for (float* s = memory.Scores + (n * Pitch), end = s + width; s < end; s += V.Count)
                {
                    V.Store(V.Multiply(cap, VectorMath.Tanh(V.Divide(V.Load(s), cap))), s);
                }
            }
        }
        if (!problem.Bias.IsEmpty)
        {
            for (int lane = 0; lane < lanes; lane++)
            {
                for (int n = 0; n < keys; n++)
                {
                    float added = problem.Bias.Load(b, memory.Head[lane], memory.Row[lane], key + n);
                    ref float s = ref memory.Scores[(n * Pitch) + lane];
                    s = float.IsNegativeInfinity(added) ? added : s + added;
                }
            }
        }
        if (masked)
        {
            V hidden = V.Broadcast(float.NegativeInfinity);
            for (int n = 0; n < keys; n++)
            {
                for (int lane = 0; lane < width; lane += V.Count)
                {
                    float* s = memory.Scores + (n * Pitch) + lane;
                    V.Store(V.Select(V.InRange(memory.First + lane, memory.End + lane, key + n), V.Load(s), hidden), s);
                }
            }
        }
    }

    /// <summary>Which lanes each key of the tile is aligned with, into <see cref="BlockMemory.Aligned"/>.</summary>
    private static TileRoles AlignTile(AttentionCall* call, int b, int key, int keys, int roles, in BlockMemory memory)
    {
        byte* boxed = call->Plan.Boxed + ((long)b * call->Problem.KeyLength) + key;
        bool any = false;
        int first = keys, end = 0;
        for (int n = 0; n < keys; n++)
        {
            memory.Aligned[n] = 0;
            if (boxed[n] == 0)
            {
                continue;
            }
            any = true;
            Role role = Role.Of(call->Bias.Keys, b, key + n);
            for (int r = 0; r < roles; r++)
            {
                memory.Aligned[n] |= memory.Roles[r].SharedSpeakers(role) != 0 ? memory.RoleLanes[r] : 0;
            }
            if (memory.Aligned[n] != 0)
            {
                first = Math.Min(first, n);
                end = n + 1;
            }
        }
        return new TileRoles(any, first, end);
    }

    /// <summary>Adds each row's exponentials on the keys it shares a speaker with, speaker by speaker.</summary>
    private static void AddSpeakerSums(AttentionCall* call, int b, int key, int keys, float* exponentials, in BlockMemory memory)
    {
        ulong counted = (1ul << call->Bias.SpeakerCount) - 1;
        for (int n = 0; n < keys; n++)
        {
            if (memory.Aligned[n] == 0)
            {
                continue;
            }
            long speakers = call->Bias.Keys.Speakers[((long)b * call->Bias.Keys.Length) + key + n];
            for (ulong lanes = memory.Aligned[n]; lanes != 0; lanes &= lanes - 1)
            {
                int lane = BitOperations.TrailingZeroCount(lanes);
                call->Bias.TryGetSpokenRow(call->Problem, b, memory.Row[lane], out TokenRoles roles, out int token);
                ulong shared = (ulong)(speakers & roles.Speakers[((long)b * roles.Length) + token]) & counted;
                for (; shared != 0; shared &= shared - 1)
                {
                    memory.SpeakerSums[(BitOperations.TrailingZeroCount(shared) * Pitch) + lane] += exponentials[(n * Pitch) + lane];
                }
            }
        }
    }

    private static bool AllFinite(float* rows, nint stride, int count, int size)
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

    /// <summary>
    /// O^T += V^T P^T. Where V holds a value that is not finite, key by key, leaving out those that a row does not see: they carry -0. The
    /// other rows of the block get the same bits either way.
    /// </summary>
    private static void AddValues(float* v, nint stride, float* p, float* output, int size, int keys, int width, bool finite)
    {
        if (finite)
        {
            Gemm.Multiply<V>(v, 1, stride, p, output, size, keys, width, accumulate: true);
            return;
        }
        V zero = V.Broadcast(0f), one = V.Broadcast(1f), never = V.LessThan(one, zero);
        for (int n = 0; n < keys; n++)
        {
            for (int lane = 0; lane < width; lane += V.Count)
            {
                V weight = V.Load(p + (n * Pitch) + lane);
                V hidden = V.Select(V.Equals(weight, zero), V.LessThan(V.CopySign(one, weight), zero), never);
                for (int d = 0; d < size; d++)
                {
                    float* at = output + (d * Pitch) + lane;
                    V sum = V.Load(at);
                    V.Store(V.Select(hidden, sum, V.MultiplyAdd(V.Broadcast(v[(n * stride) + d]), weight, sum)), at);
                }
            }
        }
    }
}
