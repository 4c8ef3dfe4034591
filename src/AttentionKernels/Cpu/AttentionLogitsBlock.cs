using System.Diagnostics;

namespace AttentionKernels.Cpu;

/// <summary>The matrix of <see cref="AttentionLogits"/> for one block of up to 64 query rows.</summary>
/// <remarks>
/// in   Q [S, D], K [T, D], one vector lane for each query row, S^T = K Q^T by tiles of 64 keys
/// out  [S, T], each tile transposed when it is written
/// Probabilities take two rounds over the keys, one for maximum and sum, one to write: the logits are computed twice, and no memory of
/// the size of a row of keys is needed. A row's arithmetic does not depend on its neighbours, so that any number of threads gives the same bits.
/// </remarks>
/// <typeparam name="V">Vector type of the instruction set.</typeparam>
internal static unsafe class AttentionLogitsBlock<V>
    where V : struct, IVector<V>
{
    private const int Pitch = Gemm.Pitch;
    private const int TileKeys = AttentionLogitsMemory.TileKeys;

    /// <summary>Computes block <paramref name="task"/> of the <see cref="AttentionLogitsCall"/> with <paramref name="workerMemory"/> as working memory.</summary>
    public static void Run(void* state, int task, byte* workerMemory)
    {
        AttentionLogitsCall* call = (AttentionLogitsCall*)state;
        ref readonly AttentionProblem problem = ref call->Problem;
        ScratchCursor scratch = new(workerMemory);
        AttentionLogitsMemory memory = AttentionLogitsMemory.At(ref scratch, problem);

        int firstRow = (task % call->RowBlocks) * call->RowsPerBlock;
        int rest = task / call->RowBlocks;
        int firstHead = (rest % call->HeadBlocks) * call->HeadsPerBlock;
        rest /= call->HeadBlocks;
        int group = problem.Heads / problem.KvHeads;
        int kvHead = rest % problem.KvHeads;
        int rows = Math.Min(call->RowsPerBlock, problem.QueryLength - firstRow);
        int heads = Math.Min(call->HeadsPerBlock, group - firstHead);
        Block block = new()
        {
            Batch = rest / problem.KvHeads,
            KvHead = kvHead,
            FirstHead = (kvHead * group) + firstHead,
            FirstRow = firstRow,
            Rows = rows,
            Lanes = heads * rows,
            Width = ((heads * rows) + (2 * V.Count) - 1) / (2 * V.Count) * (2 * V.Count),
        };
        Debug.Assert(block.Lanes <= Pitch);

        // Keys that any row sees.
        int lo = int.MaxValue, hi = 0;
        for (int lane = 0; lane < Pitch; lane++)
        {
            (int first, int end) = lane < block.Lanes ? problem.VisibleKeys(block.Batch, problem.OffsetOf(block.Batch) + block.RowOf(lane)) : (0, 0);
            (memory.First[lane], memory.End[lane]) = (first, end);
            if (first < end)
            {
                (lo, hi) = (Math.Min(lo, first), Math.Max(hi, end));
            }
        }

        LoadQuery(problem, block, memory);
        if (call->Stage == LogitStage.Probability)
        {
            new Span<float>(memory.Max, Pitch).Fill(float.NegativeInfinity);
            new Span<float>(memory.Sum, Pitch).Clear();
            for (int key = lo & ~(TileKeys - 1); key < hi; key += TileKeys)
            {
                int keys = Math.Min(TileKeys, problem.KeyLength - key);
                ComputeTile(call, block, key, keys, memory);
                AddToSums(keys, block.Width, memory);
            }
            AddSink(problem, block, memory);
        }
        for (int key = 0; key < problem.KeyLength; key += TileKeys)
        {
            int keys = Math.Min(TileKeys, problem.KeyLength - key);
            if (key < hi && key + keys > lo)
            {
                ComputeTile(call, block, key, keys, memory);
            }
            else
            {
                new Span<float>(memory.Scores, keys * Pitch).Fill(call->Hidden);
            }
            if (call->Stage == LogitStage.Probability)
            {
                Normalise(keys, block.Width, memory);
            }
            Store(call->Matrix, block, key, keys, memory);
        }
    }

    /// <summary>Query rows, scaled and transposed; lanes beyond the last row are 0.</summary>
    private static void LoadQuery(in AttentionProblem problem, in Block block, in AttentionLogitsMemory memory)
    {
        for (int lane = 0; lane < block.Width; lane++)
        {
            for (int d = 0; d < problem.HeadSize; d++)
            {
                memory.Query[(d * Pitch) + lane] =
                    lane < block.Lanes ? problem.Query.Load(block.Batch, block.HeadOf(lane), block.RowOf(lane), d) * problem.Scale : 0f;
            }
        }
    }

    /// <summary>Logits of a tile of keys: product, soft-cap, bias, masks.</summary>
    private static void ComputeTile(AttentionLogitsCall* call, in Block block, int key, int keys, in AttentionLogitsMemory memory)
    {
        ref readonly AttentionProblem problem = ref call->Problem;
        float* k = Keys(problem.Key, block, key, keys, problem.HeadSize, memory.Key, out nint stride);
        Gemm.Multiply<V>(k, stride, 1, memory.Query, memory.Scores, keys, problem.HeadSize, block.Width, accumulate: false);
        if (problem.Softcap > 0)
        {
            V cap = V.Broadcast(problem.Softcap);
            for (int n = 0; n < keys; n++)
            {
                for (float* s = memory.Scores + (n * Pitch), end = s + block.Width; s < end; s += V.Count)
                {
                    V.Store(V.Multiply(cap, VectorMath.Tanh(V.Divide(V.Load(s), cap))), s);
                }
            }
        }
        V hidden = V.Broadcast(call->Hidden);
        for (int lane = 0; !problem.Bias.IsEmpty && lane < block.Lanes; lane++)
        {
            int end = Math.Min(keys, memory.End[lane] - key);
            for (int n = Math.Max(0, memory.First[lane] - key); n < end; n++)
            {
                float added = problem.Bias.Load(block.Batch, block.HeadOf(lane), block.RowOf(lane), key + n);
                ref float s = ref memory.Scores[(n * Pitch) + lane];
                s = float.IsNegativeInfinity(added) ? added : s + added;
            }
        }
        for (int n = 0; n < keys; n++)
        {
            for (int lane = 0; lane < block.Width; lane += V.Count)
            {
                float* s = memory.Scores + (n * Pitch) + lane;
                V.Store(V.Select(V.InRange(memory.First + lane, memory.End + lane, key + n), V.Load(s), hidden), s);
            }
        }
    }

    /// <summary>Rows of K as float32: where they lie, or widened into <paramref name="buffer"/>.</summary>
    private static float* Keys(in TensorView tensor, in Block block, int key, int keys, int size, float* buffer, out nint stride)
    {
        if (tensor.Type == ElementType.Float32)
        {
            stride = (nint)tensor.RowStride;
            return tensor.Float(block.Batch, block.KvHead, key);
        }
        stride = size;
        for (int n = 0; n < keys; n++)
        {
            ElementRows.Widen(tensor.Type, tensor.Row(block.Batch, block.KvHead, key + n), buffer + (n * size), size);
        }
        return buffer;
    }

    /// <summary>Takes a tile of logits into the rows' maxima and sums.</summary>
    private static void AddToSums(int keys, int width, in AttentionLogitsMemory memory)
    {
        for (int lane = 0; lane < width; lane += V.Count)
        {
            float* scores = memory.Scores + lane, end = scores + (keys * Pitch);
            V max = V.Load(memory.Max + lane), old = max;
            for (float* s = scores; s < end; s += Pitch)
            {
                max = V.Max(max, V.Load(s));
            }
            V shift = Shift(max), sum = V.Broadcast(0f);
            for (float* s = scores; s < end; s += Pitch)
            {
                sum = V.Add(sum, VectorMath.Exp(V.Subtract(V.Load(s), shift)));
            }
            V correction = VectorMath.Exp(V.Subtract(old, shift));
            V.Store(V.MultiplyAdd(V.Load(memory.Sum + lane), correction, sum), memory.Sum + lane);
            V.Store(max, memory.Max + lane);
        }
    }

    /// <summary>Takes each head's sink into the sums of the rows that see any key, and makes sums that can be divided by.</summary>
    private static void AddSink(in AttentionProblem problem, in Block block, in AttentionLogitsMemory memory)
    {
        for (int lane = 0; lane < block.Width; lane++)
        {
            if (problem.HeadSink != null && lane < block.Lanes && memory.Max[lane] != float.NegativeInfinity)
            {
                float sink = problem.HeadSink[block.HeadOf(lane)], joint = MathF.Max(memory.Max[lane], sink);
                memory.Sum[lane] = (memory.Sum[lane] * MathF.Exp(memory.Max[lane] - joint)) + MathF.Exp(sink - joint);
                memory.Max[lane] = joint;
            }

            // A row that saw no key has sum 0 and probabilities 0; every other sum is at least 1, or NaN.
            memory.Sum[lane] = memory.Sum[lane] == 0 ? 1 : memory.Sum[lane];
        }
    }

    /// <summary>Logits to probabilities.</summary>
    private static void Normalise(int keys, int width, in AttentionLogitsMemory memory)
    {
        for (int lane = 0; lane < width; lane += V.Count)
        {
            V shift = Shift(V.Load(memory.Max + lane)), sum = V.Load(memory.Sum + lane);
            for (float* s = memory.Scores + lane, end = s + (keys * Pitch); s < end; s += Pitch)
            {
                V.Store(V.Divide(VectorMath.Exp(V.Subtract(V.Load(s), shift)), sum), s);
            }
        }
    }

    private static void Store(in TensorView matrix, in Block block, int key, int keys, in AttentionLogitsMemory memory)
    {
        for (int lane = 0; lane < block.Lanes; lane++)
        {
            OutputRow row = new(matrix, block.Batch, block.HeadOf(lane), block.RowOf(lane));
            for (int n = 0; n < keys; n++)
            {
                row[key + n] = memory.Scores[(n * Pitch) + lane];
            }
        }
    }

    /// <summary>What to subtract before the exponential: the maximum, or 0 where nothing was seen, because -inf - -inf is NaN.</summary>
    private static V Shift(V max) => V.Select(V.Equals(max, V.Broadcast(float.NegativeInfinity)), V.Broadcast(0f), max);

    /// <summary>Which rows a block has: lane = head * Rows + row.</summary>
    private readonly struct Block
    {
        public required int Batch { get; init; }

        public required int KvHead { get; init; }

        public required int FirstHead { get; init; }

        public required int FirstRow { get; init; }

        public required int Rows { get; init; }

        public required int Lanes { get; init; }

        /// <summary>Lanes to compute: whole pairs of vectors.</summary>
        public required int Width { get; init; }

        public int HeadOf(int lane) => FirstHead + (lane / Rows);

        public int RowOf(int lane) => FirstRow + (lane % Rows);
    }
}
