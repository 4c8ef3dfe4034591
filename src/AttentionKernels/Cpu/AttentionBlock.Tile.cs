using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace AttentionKernels.Cpu;

/// <content>Loading a block and a tile, logits, roles of a tile, the product with V.</content>
internal static unsafe partial class AttentionBlock<V>
{
    /// <summary>The runs of the block's rows of U, each once, with the lanes that it has.</summary>
    private static int CollectRuns(AttentionCall* call, in BlockMemory memory)
    {
        int count = 0;
        for (int lane = 0; lane < memory.Lanes; lane++)
        {
            if (memory.Spoken[lane] < 0)
            {
                continue;
            }
            int run = call->Plan.Run[memory.Spoken[lane]], n = 0;
            while (n < count && memory.Runs[n] != run)
            {
                n++;
            }
            if (n == count)
            {
                memory.Runs[count] = run;
                memory.RunLanes[count++] = 0;
            }
            memory.RunLanes[n] |= 1ul << lane;
        }
        return count;
    }

    /// <summary>Query rows, scaled and transposed; lanes beyond the last row are 0.</summary>
    private static void LoadQuery(in AttentionProblem problem, int b, in BlockMemory memory)
    {
        int size = problem.HeadSize;
        PrefetchRows(problem.Query, b, size, memory);
        for (int lane = 0; lane < memory.Width; lane += LaneTranspose.Rows)
        {
            LaneTranspose.Load(
                Row(problem, lane, memory), Row(problem, lane + 1, memory), Row(problem, lane + 2, memory), Row(problem, lane + 3, memory),
                size, problem.Scale, memory.Query + lane);
        }

        float* Row(in AttentionProblem problem, int lane, in BlockMemory memory)
        {
            float* buffer = memory.Rows + (lane % LaneTranspose.Rows * size);
            if (lane >= memory.Lanes)
            {
                new Span<float>(buffer, size).Clear();
                return buffer;
            }
            if (problem.Query.Type == ElementType.Float32)
            {
                return problem.Query.Float(b, memory.Head[lane], memory.Row[lane]);
            }
            ElementRows.Widen(problem.Query.Type, problem.Query.Row(b, memory.Head[lane], memory.Row[lane]), buffer, size);
            return buffer;
        }
    }

    /// <summary>
    /// Asks for all of a panel's rows of the query or the output at once: they lie in 64 different pages, and loading them one after
    /// the other took 5 % of a short prefill.
    /// </summary>
    private static void PrefetchRows(in TensorView tensor, int b, int size, in BlockMemory memory)
    {
        for (int lane = 0; Sse.IsSupported && lane < memory.Lanes; lane++)
        {
            byte* row = (byte*)tensor.Row(b, memory.Head[lane], memory.Row[lane]);
            for (int at = 0; at < size * tensor.Type.Size(); at += ScratchCursor.Alignment)
            {
                Sse.Prefetch0(row + at);
            }
        }
    }

    private static void Start(AttentionCall* call, in BlockMemory memory)
    {
        int valueSize = call->Problem.Value.IsEmpty ? 0 : call->Problem.ValueHeadSize;
        new Span<float>(memory.Max, Pitch).Fill(float.NegativeInfinity);
        new Span<float>(memory.Sum, Pitch).Clear();
        new Span<float>(memory.Output, valueSize * Pitch).Clear();
        if (memory.HasSpoken)
        {
            new Span<float>(memory.MaxAligned, Pitch).Fill(float.NegativeInfinity);
            new Span<float>(memory.BaseAligned, Pitch).Fill(float.NegativeInfinity);
            new Span<float>(memory.AlignedCorrection, Pitch).Fill(1);
            new Span<float>(memory.SumAligned, Pitch).Clear();
            new Span<float>(memory.MaxBoxed, Pitch).Fill(float.NegativeInfinity);
            new Span<float>(memory.SumBoxed, Pitch).Clear();
            new Span<float>(memory.SpeakerSums, call->Bias.SpeakerCount * Pitch).Clear();
        }
        *memory.Started = 0;
    }

    /// <summary>Rows of K or V as float32: where they lie, or copied or widened into <paramref name="buffer"/>.</summary>
    private static float* Rows(in TensorView tensor, int b, int head, int key, int keys, int size, float* buffer, out nint stride)
    {
        if (!BlockMemory.Copies(tensor, size))
        {
            stride = (nint)tensor.RowStride;
            return tensor.Float(b, head, key);
        }
        stride = size + BlockMemory.RowGap;
        for (int n = 0; n < keys; n++)
        {
            ElementRows.Widen(tensor.Type, tensor.Row(b, head, key + n), buffer + (n * stride), size);
        }
        return buffer;
    }

    /// <summary>
    /// Which keys of a tile are computed for each group of lanes, into <see cref="BlockMemory.Seen"/>: all of them, or on the diagonal of a causal mask,
    /// where the early rows see half of the keys or fewer, those that any of its lanes sees. And which all of its lanes see.
    /// </summary>
    /// <returns>Whether enough is left out to make up for narrower products, which take longer for what they do.</returns>
    private static bool TrimTile(int key, int keys, bool masked, bool biased, in BlockMemory memory)
    {
        int seen = 0, groups = memory.Width / LaneGroup;
        ulong all = ulong.MaxValue >> (BlockMemory.TileKeys - keys);
        for (int group = 0; group < groups; group++)
        {
            (memory.Seen[group], memory.WholeFrom[group], memory.WholeTo[group]) = (all, 0, biased ? 0 : keys);
            if (!masked)
            {
                continue;
            }
            int from = keys, to = 0, wholeFrom = 0, wholeTo = keys;
            for (int lane = group * LaneGroup, end = Math.Min(memory.Lanes, lane + LaneGroup); lane < end; lane++)
            {
                int first = Math.Max(0, memory.First[lane] - key), last = Math.Min(keys, memory.End[lane] - key);
                (wholeFrom, wholeTo) = (Math.Max(wholeFrom, first), Math.Min(wholeTo, last));
                if (first < last)
                {
                    (from, to) = (Math.Min(from, first), Math.Max(to, last));
                }
            }
            // By four, because the product with K takes a single key at a third of the speed.
            (from, to) = (from & ~3, Math.Min(keys, (to + 3) & ~3));
            memory.Seen[group] = from < to ? all >> (keys - to + from) << from : 0;
            seen += Math.Max(0, to - from);
            (memory.WholeFrom[group], memory.WholeTo[group]) = biased || wholeFrom >= wholeTo ? (0, 0) : (wholeFrom, wholeTo);
        }
        if (masked && seen * 20 <= keys * groups * 17)
        {
            return true;
        }
        new Span<ulong>(memory.Seen, groups).Fill(all);
        return false;
    }

    /// <summary>S^T = K Q^T, where trimmed only the parts that are seen: the others keep what they held.</summary>
    private static void MultiplyKeys(KeyTile* tile, int size, int keys, bool trimmed, in BlockMemory memory)
    {
        if (!trimmed)
        {
            Gemm.Multiply<V>(tile->Key, tile->KeyStride, 1, memory.Query, memory.Scores, keys, size, memory.Width, accumulate: false, &tile->Ahead);
            return;
        }
        SeenSegments part = new(memory.Seen, memory.Width / LaneGroup, keys);
        while (part.Next())
        {
            int lane = part.Group * LaneGroup;
            Gemm.Multiply<V>(
                tile->Key + (part.First * tile->KeyStride), tile->KeyStride, 1, memory.Query + lane, memory.Scores + (part.First * Pitch) + lane,
                part.Keys, size, part.Groups * LaneGroup, accumulate: false);
        }
    }

    /// <summary>Soft-cap, additive bias and masks, in this order.</summary>
    private static void FinishLogits(in AttentionProblem problem, int b, int key, int keys, bool masked, in BlockMemory memory)
    {
        if (problem.Softcap > 0)
        {
            V cap = V.Broadcast(problem.Softcap);
            for (int n = 0; n < keys; n++)
            {
                for (float* s = memory.Scores + (n * Pitch), end = s + memory.Width; s < end; s += V.Count)
                {
                    V.Store(V.Multiply(cap, VectorMath.Tanh(V.Divide(V.Load(s), cap))), s);
                }
            }
        }
        if (!problem.Bias.IsEmpty)
        {
            for (int lane = 0; lane < memory.Lanes; lane++)
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
            for (int lane = 0, group = 0; lane < memory.Width; lane += LaneGroup, group++)
            {
                int n = memory.FirstSeen(group);
                for (int end = n + BitOperations.PopCount(memory.Seen[group]); n < end; n++)
                {
                    if (n == memory.WholeFrom[group] && n < memory.WholeTo[group])
                    {
                        n = memory.WholeTo[group] - 1;
                        continue;
                    }
                    float* s = memory.Scores + (n * Pitch) + lane;
                    V.Store(V.Select(V.InRange(memory.First + lane, memory.End + lane, key + n), V.Load(s), hidden), s);
                }
            }
        }
    }

    /// <summary>
    /// Which lanes each key of the tile is aligned with, into <see cref="BlockMemory.Aligned"/>, and the same the other way round: the keys of each group of
    /// lanes.
    /// </summary>
    private static TileRoles AlignTile(AttentionCall* call, int b, int key, int keys, in BlockMemory memory)
    {
        ref readonly RolePlan plan = ref call->Plan;
        int at = key / BlockMemory.TileKeys, groups = memory.Width / LaneGroup;
        ulong seen = ulong.MaxValue >> (BlockMemory.TileKeys - keys);
        new Span<ulong>(memory.Aligned, BlockMemory.TileKeys).Clear();
        ulong any = 0;
        for (int r = 0; r < memory.RunCount; r++)
        {
            ulong aligned = plan.Aligned[((long)memory.Runs[r] * plan.Tiles) + at] & seen;
            any |= aligned;
            for (; aligned != 0; aligned &= aligned - 1)
            {
                memory.Aligned[BitOperations.TrailingZeroCount(aligned)] |= memory.RunLanes[r];
            }
        }
        for (int group = 0; group < groups; group++)
        {
            int lane = group * LaneGroup;
            ulong some = 0, whole = ulong.MaxValue, missing = (ulong.MaxValue >> (Pitch - memory.Lanes) >> lane) & GroupMask;
            for (int r = 0; any != 0 && r < memory.RunCount; r++)
            {
                ulong lanes = (memory.RunLanes[r] >> lane) & GroupMask;
                if (lanes != 0)
                {
                    ulong aligned = plan.Aligned[((long)memory.Runs[r] * plan.Tiles) + at] & memory.Seen[group];
                    (some, whole, missing) = (some | aligned, whole & aligned, missing & ~lanes);
                }
            }
            (memory.AlignedKeys[group], memory.WholeKeys[group]) = (some, missing == 0 ? whole & some : 0);
        }
        return new TileRoles(plan.Boxed[((long)b * plan.Tiles) + at] & seen, any);
    }

    /// <summary>Adds each row's exponentials on the keys it shares a speaker with, speaker by speaker.</summary>
    private static void AddSpeakerSums(AttentionCall* call, int b, int key, int keys, bool split, in BlockMemory memory)
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
                if (((memory.Seen[lane / LaneGroup] >> n) & 1) == 0)
                {
                    continue;
                }
                call->Bias.TryGetSpokenRow(call->Problem, b, memory.Row[lane], out TokenRoles roles, out int token);
                ulong shared = (ulong)(speakers & roles.Speakers[((long)b * roles.Length) + token]) & counted;
                float p = (split ? memory.AlignedScores : memory.Scores)[(n * Pitch) + lane];
                for (; shared != 0; shared &= shared - 1)
                {
                    memory.SpeakerSums[(BitOperations.TrailingZeroCount(shared) * Pitch) + lane] += p;
                }
            }
        }
    }

    /// <summary>Whether all values of these keys of a tile are finite; found out once for all panels.</summary>
    private static bool AreFinite(KeyTile* tile, ulong keys, int size)
    {
        ulong open = keys & ~tile->Checked;
        if (open != 0)
        {
            tile->Exceptions |= FiniteRows.Exceptions<V>(tile->Value, tile->ValueStride, open, size);
            tile->Checked |= open;
        }
        return (keys & tile->Exceptions) == 0;
    }

    /// <summary>O^T += V^T P^T of a trimmed tile.</summary>
    private static void AddTrimmedValues(KeyTile* tile, int size, int keys, in BlockMemory memory)
    {
        SeenSegments part = new(memory.Seen, memory.Width / LaneGroup, keys);
        while (part.Next())
        {
            int lane = part.Group * LaneGroup;
            Gemm.Multiply<V>(
                tile->Value + (part.First * tile->ValueStride), 1, tile->ValueStride, memory.Scores + (part.First * Pitch) + lane, memory.Output + lane,
                size, part.Keys, part.Groups * LaneGroup, accumulate: true);
        }
    }

    /// <summary>The same for a tile with a value that is not finite, for each group of lanes over its own keys.</summary>
    private static void AddVisibleValues(KeyTile* tile, int size, in BlockMemory memory)
    {
        for (int lane = 0, group = 0; lane < memory.Width; lane += LaneGroup, group++)
        {
            AddVisibleValues(tile->Value, tile->ValueStride, memory.Seen[group], memory.Scores + lane, memory.Output + lane, size);
        }
    }

    /// <summary>O^T += V^T P^T into the output of aligned keys, for each group of lanes over its own.</summary>
    private static void AddAlignedValues(KeyTile* tile, int size, bool finite, in BlockMemory memory)
    {
        int groups = memory.Width / LaneGroup;
        for (int lane = 0, group = 0; group < groups; lane += LaneGroup, group++)
        {
            if (memory.AlignedKeys[group] == 0)
            {
                continue;
            }
            bool started = ((*memory.Started >> group) & 1) != 0;
            if (started)
            {
                Rescale(memory.AlignedOutput + lane, memory.AlignedCorrection + lane, size, LaneGroup);
            }
            if (!finite)
            {
                if (!started)
                {
                    Clear(memory.AlignedOutput + lane, size);
                }
                AddVisibleValues(tile->Value, tile->ValueStride, memory.AlignedKeys[group], memory.AlignedScores + lane, memory.AlignedOutput + lane, size);
            }
        }
        if (finite)
        {
            Gemm.AddSelected<V>(tile->Value, tile->ValueStride, memory.AlignedKeys, memory.AlignedScores, memory.AlignedOutput, size, groups, *memory.Started);
        }
        for (int group = 0; group < groups; group++)
        {
            *memory.Started |= memory.AlignedKeys[group] != 0 ? 1ul << group : 0;
        }
    }

    private static void Clear(float* matrix, int rows)
    {
        V zero = V.Broadcast(0f);
        for (float* end = matrix + (rows * Pitch); matrix < end; matrix += Pitch)
        {
            V.Store(zero, matrix);
        }
    }

    /// <summary>
    /// One group of lanes: key by key, leaving out those that a row does not see, which carry -0, because 0 * NaN must not reach it. The other rows of the block get
    /// the same bits as from the product.
    /// </summary>
    private static void AddVisibleValues(float* v, nint stride, ulong keys, float* p, float* output, int size)
    {
        V zero = V.Broadcast(0f), one = V.Broadcast(1f), never = V.LessThan(one, zero);
        for (; keys != 0; keys &= keys - 1)
        {
            int n = BitOperations.TrailingZeroCount(keys);
            float* row = v + (n * stride);
            V weight = V.Load(p + (n * Pitch));
            V hidden = V.Select(V.Equals(weight, zero), V.LessThan(V.CopySign(one, weight), zero), never);
            for (int d = 0; d < size; d++)
            {
                float* at = output + (d * Pitch);
                V sum = V.Load(at);
                V.Store(V.Select(hidden, sum, V.MultiplyAdd(V.Broadcast(row[d]), weight, sum)), at);
            }
        }
    }
}
