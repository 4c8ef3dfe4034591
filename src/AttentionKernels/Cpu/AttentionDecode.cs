using System.Runtime.CompilerServices;

namespace AttentionKernels.Cpu;

/// <summary>
/// Attention of few query rows, as in a decode step: all heads of a group over a chunk of their keys, and the combination of the chunks
/// (flash-decoding). K and V are read once, row after row, which is what the time goes into.
/// </summary>
/// <remarks>
/// Row-major, unlike <see cref="AttentionBlock{V}"/>: with one row there it would use one lane of a vector. Chunks are fixed parts of the keys, and the
/// last task of a group of rows combines them in their order, so that any number of threads gives the same bits. A row's arithmetic does not depend
/// on its neighbours.
/// </remarks>
/// <typeparam name="V">Vector type of the instruction set.</typeparam>
internal static unsafe partial class AttentionDecode<V>
    where V : struct, IVector<V>
{
    private const int ChunkKeys = DecodeMemory.ChunkKeys;

    /// <summary>Rows that go through the products together: 4 rows by 2 keys are 8 accumulators, as many as two multiply-adds a cycle need.</summary>
    private const int RowGroup = 4;

    /// <summary>One chunk of keys for the rows of one block of heads.</summary>
    public static void Run(void* state, int task, byte* workerMemory)
    {
        var call = (AttentionCall*)state;
        ref readonly AttentionProblem problem = ref call->Problem;
        int chunk = task % call->Decode.Chunks, block = task / call->Decode.Chunks;
        int headBlock = block % call->HeadBlocks, rest = block / call->HeadBlocks;
        int kvHead = rest % problem.KvHeads, group = problem.Heads / problem.KvHeads;
        int firstHead = (kvHead * group) + (headBlock * call->HeadsPerBlock);
        Rows rows = new(problem, rest / problem.KvHeads, kvHead, firstHead, Math.Min(call->HeadsPerBlock, ((kvHead + 1) * group) - firstHead));

        ScratchCursor scratch = new(workerMemory);
        AddChunk(call, rows, chunk, DecodeMemory.At(ref scratch, problem, call->Bias));
        if (Interlocked.Decrement(ref call->Decode.Pending[block]) == 0)
        {
            for (int r = 0; r < rows.Count; r++)
            {
                Combine(call, rows, r);
            }
        }
    }

    private static void AddChunk(AttentionCall* call, in Rows rows, int chunk, in DecodeMemory memory)
    {
        ref readonly AttentionProblem problem = ref call->Problem;
        int start = chunk * ChunkKeys, lo = int.MaxValue, hi = 0, maxFirst = 0, minEnd = int.MaxValue;
        for (int i = 0; i < problem.QueryLength; i++)
        {
            (int first, int end) = problem.VisibleKeys(rows.Batch, problem.OffsetOf(rows.Batch) + i);
            (maxFirst, minEnd) = (Math.Max(maxFirst, first), Math.Min(minEnd, end));
            if (first < end)
            {
                (lo, hi) = (Math.Min(lo, first), Math.Max(hi, end));
            }
        }
        (lo, hi) = (Math.Max(lo, start), Math.Min(hi, Math.Min(start + ChunkKeys, problem.KeyLength)));
        int valueSize = problem.Value.IsEmpty ? 0 : problem.ValueHeadSize, padded = rows.Padded;
        new Span<float>(memory.Output, padded * memory.OutputStride).Clear();

        bool partial = maxFirst > lo || minEnd < hi || !problem.Bias.IsEmpty, anyAligned = false;
        if (lo < hi)
        {
            LoadQuery(problem, rows, memory);
            MultiplyKeys(problem, rows, lo, hi, memory);
        }
        for (int r = 0; r < rows.Count; r++)
        {
            long part = (((long)rows.Index(r) * call->Decode.Chunks) + chunk);
            ref ClassPartials stats = ref call->Decode.Rows[part];
            FinishLogits(problem, rows, r, start, lo, hi, memory);
            anyAligned |= Softmax(call, rows, r, start, lo, hi, part, ref stats, memory);
        }
        if (valueSize == 0)
        {
            return;
        }
        if (anyAligned)
        {
            new Span<float>(memory.AlignedOutput, padded * memory.OutputStride).Clear();
        }
        if (lo < hi)
        {
            AddValues(problem, rows, start, lo, hi, partial || anyAligned, anyAligned, memory);
        }
        for (int r = 0; r < rows.Count; r++)
        {
            long at = (((long)rows.Index(r) * call->Decode.Chunks) + chunk) * valueSize;
            new ReadOnlySpan<float>(memory.Output + (r * memory.OutputStride), valueSize).CopyTo(new Span<float>(call->Decode.Outputs + at, valueSize));
            if (anyAligned)
            {
                new ReadOnlySpan<float>(memory.AlignedOutput + (r * memory.OutputStride), valueSize).CopyTo(new Span<float>(call->Decode.AlignedOutputs + at, valueSize));
            }
        }
    }

    /// <summary>Query rows, scaled; rows beyond the last are 0.</summary>
    private static void LoadQuery(in AttentionProblem problem, in Rows rows, in DecodeMemory memory)
    {
        for (int r = 0; r < rows.Padded; r++)
        {
            Span<float> row = new(memory.Query + (r * memory.QueryStride), problem.HeadSize);
            if (r >= rows.Count)
            {
                row.Clear();
                continue;
            }
            fixed (float* target = row)
            {
                ElementRows.Widen(problem.Query.Type, problem.Query.Row(rows.Batch, rows.Head(r), rows.Row(r)), target, problem.HeadSize);
            }
            foreach (ref float x in row)
            {
                x *= problem.Scale;
            }
        }
    }

    /// <summary>Dot products of all rows with the keys [lo, hi).</summary>
    private static void MultiplyKeys(in AttentionProblem problem, in Rows rows, int lo, int hi, in DecodeMemory memory)
    {
        int size = problem.HeadSize;
        bool widen = problem.Key.Type != ElementType.Float32;
        for (int key = lo; key < hi; key += DecodeMemory.WidenedKeys)
        {
            int keys = Math.Min(DecodeMemory.WidenedKeys, hi - key);
            float* k = widen ? memory.Key : problem.Key.Float(rows.Batch, rows.KvHead, key);
            nint stride = widen ? size : (nint)problem.Key.RowStride;
            for (int n = 0; widen && n < keys; n++)
            {
                ElementRows.Widen(problem.Key.Type, problem.Key.Row(rows.Batch, rows.KvHead, key + n), k + (n * stride), size);
            }
            float* scores = memory.Scores + (key % ChunkKeys);
            if (rows.Count == 1)
            {
                int n = 0;
                for (; n + 8 <= keys; n += 8)
                {
                    Dot1x8(memory.Query, k + (n * stride), stride, size, scores + n);
                }
                for (; n < keys; n++)
                {
                    scores[n] = Dot(memory.Query, k + (n * stride), size);
                }
                continue;
            }
            for (int n = 0; n < keys; n += 2)
            {
                // An odd last key goes twice.
                float* k0 = k + (n * stride), k1 = n + 1 < keys ? k0 + stride : k0;
                for (int r = 0; r < rows.Padded; r += RowGroup)
                {
                    Dot4x2(memory.Query + (r * memory.QueryStride), memory.QueryStride, k0, k1, size, scores + (r * ChunkKeys) + n, n + 1 < keys ? 1 : 0);
                }
            }
        }
    }

    /// <summary>Soft-cap, additive bias and masks of one row, and -inf from the last key to the end of the chunk.</summary>
    private static void FinishLogits(in AttentionProblem problem, in Rows rows, int r, int start, int lo, int hi, in DecodeMemory memory)
    {
        float* scores = memory.Scores + (r * ChunkKeys) - start;
        (int first, int end) = problem.VisibleKeys(rows.Batch, problem.OffsetOf(rows.Batch) + rows.Row(r));
        (first, end) = (Math.Max(first, lo), Math.Min(end, hi));
        if (first >= end)
        {
            new Span<float>(scores + start, ChunkKeys).Fill(float.NegativeInfinity);
            return;
        }
        new Span<float>(scores + start, first - start).Fill(float.NegativeInfinity);
        new Span<float>(scores + end, start + ChunkKeys - end).Fill(float.NegativeInfinity);
        if (problem.Softcap > 0)
        {
            V cap = V.Broadcast(problem.Softcap);
            for (float* s = scores + start; s < scores + start + ChunkKeys; s += V.Count)
            {
                V.Store(V.Multiply(cap, VectorMath.Tanh(V.Divide(V.Load(s), cap))), s);
            }
            // The cap makes -inf a number.
            new Span<float>(scores + start, first - start).Fill(float.NegativeInfinity);
            new Span<float>(scores + end, start + ChunkKeys - end).Fill(float.NegativeInfinity);
        }
        for (int key = first; !problem.Bias.IsEmpty && key < end; key++)
        {
            float added = problem.Bias.Load(rows.Batch, rows.Head(r), rows.Row(r), key);
            scores[key] = float.IsNegativeInfinity(added) ? added : scores[key] + added;
        }
    }

    /// <summary>Turns a row's logits into exponentials, by class where it is a row of U, and leaves maxima and sums in <paramref name="stats"/>.</summary>
    /// <returns>Whether aligned keys have exponentials of their own.</returns>
    private static bool Softmax(AttentionCall* call, in Rows rows, int r, int start, int lo, int hi, long part, ref ClassPartials stats, in DecodeMemory memory)
    {
        float* scores = memory.Scores + (r * ChunkKeys), aligned = memory.AlignedScores + (r * ChunkKeys);
        stats = new ClassPartials { MaxAligned = float.NegativeInfinity, MaxBoxed = float.NegativeInfinity };
        int u = call->Spoken > 0 ? call->Plan.SpokenIndex[((long)rows.Batch * call->Problem.QueryLength) + rows.Row(r)] : -1;
        bool spoken = u >= 0;
        bool split = spoken && call->MayBeActive(rows.Batch, rows.Head(r)), any = false;
        Role role = default;
        ulong* boxed = null, alignedKeys = null;
        float* speakers = null;
        if (spoken)
        {
            call->Bias.TryGetSpokenRow(call->Problem, rows.Batch, rows.Row(r), out TokenRoles roles, out int token);
            role = Role.Of(roles, rows.Batch, token);
            boxed = call->Plan.Boxed + ((long)rows.Batch * call->Plan.Tiles);
            alignedKeys = call->Plan.Aligned + ((long)call->Plan.Run[u] * call->Plan.Tiles);
            speakers = call->Decode.SpeakerSums + (part * call->Bias.SpeakerCount);
            new Span<float>(speakers, call->Bias.SpeakerCount).Clear();
            for (int key = lo; key < hi; key++)
            {
                if (!RolePlan.Has(boxed, key))
                {
                    continue;
                }
                ref float s = ref scores[key - start];
                if (!RolePlan.Has(alignedKeys, key))
                {
                    stats.MaxBoxed = LargerOf(stats.MaxBoxed, s);
                    continue;
                }
                stats.MaxAligned = LargerOf(stats.MaxAligned, s);
                if (split)
                {
                    if (!any)
                    {
                        new Span<float>(aligned, ChunkKeys).Fill(float.NegativeInfinity);
                        any = true;
                    }
                    (aligned[key - start], s) = (s, float.NegativeInfinity);
                }
            }
        }
        if (any)
        {
            stats.SumAligned = Exponentials(aligned).Sum;
        }
        else if (call->Spoken > 0)
        {
            // The values of this chunk are added to the aligned output of every row when any row has some: -0 adds nothing.
            new Span<float>(aligned, ChunkKeys).Fill(-0f);
        }
        (stats.MaxRest, stats.SumRest) = Exponentials(scores);
        if (!spoken)
        {
            return false;
        }
        for (int key = lo; key < hi; key++)
        {
            if (!RolePlan.Has(alignedKeys, key))
            {
                stats.SumBoxed += RolePlan.Has(boxed, key) ? scores[key - start] : 0;
                continue;
            }
            float p = split ? aligned[key - start] : scores[key - start];
            stats.SumAligned += split ? 0 : p;
            long shared = call->Bias.SpeakerCount == 0 ? 0 : role.SharedSpeakers(Role.Of(call->Bias.Keys, rows.Batch, key));
            for (int n = 0; n < call->Bias.SpeakerCount; n++)
            {
                speakers[n] += ((shared >> n) & 1) != 0 ? p : 0;
            }
        }
        return any;

        // NaN is dropped, as by the vector maximum: the sum has it.
        static float LargerOf(float max, float s) => s > max ? s : max;
    }

    /// <summary>Replaces a chunk's logits by exponentials relative to their maximum, -0 for -inf.</summary>
    /// <returns>Maximum and sum.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static (float Max, float Sum) Exponentials(float* scores)
    {
        float* lanes = stackalloc float[ScratchCursor.Alignment / sizeof(float)];
        V hidden = V.Broadcast(float.NegativeInfinity), largest = hidden;
        for (int n = 0; n < ChunkKeys; n += V.Count)
        {
            largest = V.Max(largest, V.Load(scores + n));
        }
        V.Store(largest, lanes);
        float max = float.NegativeInfinity;
        for (int n = 0; n < V.Count; n++)
        {
            // A lane that is NaN makes the sum NaN below.
            max = lanes[n] > max ? lanes[n] : max;
        }
        V shift = V.Broadcast(float.IsNegativeInfinity(max) ? 0 : max), sum = V.Broadcast(0f);
        for (int n = 0; n < ChunkKeys; n += V.Count)
        {
            V s = V.Load(scores + n);
            V p = V.Select(V.Equals(s, hidden), V.Broadcast(-0f), VectorMath.Exp(V.Subtract(s, shift)));
            sum = V.Add(sum, p);
            V.Store(p, scores + n);
        }
        return (max, Sum(sum));
    }

    /// <summary>The query rows of a task: S rows of each of its heads.</summary>
    private readonly struct Rows(in AttentionProblem problem, int batch, int kvHead, int firstHead, int heads)
    {
        private readonly int _firstHead = firstHead, _length = problem.QueryLength, _heads = problem.Heads;

        public int Batch { get; } = batch;

        public int KvHead { get; } = kvHead;

        public int Count { get; } = heads * problem.QueryLength;

        /// <summary>Rows with memory: one, or full groups.</summary>
        public int Padded => Count == 1 ? 1 : (Count + RowGroup - 1) / RowGroup * RowGroup;

        public int Head(int r) => _firstHead + (r / _length);

        public int Row(int r) => r % _length;

        /// <summary>Index over B, H, S.</summary>
        public long Index(int r) => (((((long)Batch * _heads) + Head(r)) * _length) + Row(r));
    }
}
