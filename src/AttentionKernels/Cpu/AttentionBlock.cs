using System.Diagnostics;

namespace AttentionKernels.Cpu;

/// <summary>
/// Attention of one block of up to 64 query rows over all their visible keys, in one pass: the class-partitioned online softmax.
/// </summary>
/// <remarks>
/// Everything is transposed, S^T = K Q^T and O^T = V^T P^T, with one vector lane for each query row. Softmax then needs no reduction
/// across lanes, K and V are read where they lie, and a row's arithmetic never depends on its neighbours: results are bit-identical
/// for any batch, any split of the rows and any number of threads. Key tiles start at multiples of 64 for the same reason.
///
/// A tile costs a second PV product only where it holds keys aligned with a row of the block that may be steered; every other tile
/// is plain flash attention, with sums over its keys of V_all when the block has rows of U.
/// </remarks>
/// <typeparam name="V">Vector type of the instruction set.</typeparam>
internal static unsafe partial class AttentionBlock<V>
    where V : struct, IVector<V>
{
    private const int Pitch = Gemm.Pitch;

    /// <summary>Computes block <paramref name="task"/> of the call with <paramref name="workerMemory"/> as working memory.</summary>
    public static void Run(AttentionCall* call, int task, byte* workerMemory)
    {
        ref readonly AttentionProblem problem = ref call->Problem;
        var scratch = new ScratchCursor(workerMemory);
        BlockMemory memory = BlockMemory.At(ref scratch, problem, call->Bias);

        // Later row blocks see more keys when causal: they go first, so that the last task to finish is a short one.
        int rowBlock = call->RowBlocks - 1 - (task % call->RowBlocks);
        int rest = task / call->RowBlocks;
        int headBlock = rest % call->HeadBlocks;
        rest /= call->HeadBlocks;
        int kvHead = rest % problem.KvHeads, b = rest / problem.KvHeads;

        int group = problem.Heads / problem.KvHeads;
        int firstHead = (kvHead * group) + (headBlock * call->HeadsPerBlock);
        int heads = Math.Min(call->HeadsPerBlock, ((kvHead + 1) * group) - firstHead);
        int firstRow = rowBlock * call->RowsPerBlock;
        int rows = Math.Min(call->RowsPerBlock, problem.QueryLength - firstRow);

        int lanes = 0;
        ulong spoken = 0;
        for (int h = firstHead; h < firstHead + heads; h++)
        {
            for (int i = firstRow; i < firstRow + rows; i++, lanes++)
            {
                memory.Head[lanes] = h;
                memory.Row[lanes] = i;
                memory.Spoken[lanes] = call->Spoken == 0 ? -1 : call->Plan.SpokenIndex[((long)b * problem.QueryLength) + i];
                spoken |= memory.Spoken[lanes] >= 0 ? 1ul << lanes : 0;
            }
        }
        Debug.Assert(lanes <= Pitch && (spoken == 0 || heads == 1));
        if (problem.Value.IsEmpty && spoken == 0)
        {
            return;
        }
        bool split = spoken != 0 && call->MayBeActive(b, firstHead);
        int roles = spoken == 0 ? 0 : CollectRoles(call, b, lanes, memory);

        // Visible keys: [lo, hi) is what any row sees, [maxFirst, minEnd) what all rows see.
        int lo = int.MaxValue, hi = 0, maxFirst = 0, minEnd = int.MaxValue;
        for (int lane = 0; lane < Pitch; lane++)
        {
            (int first, int end) = lane < lanes ? problem.VisibleKeys(b, problem.OffsetOf(b) + memory.Row[lane]) : (0, 0);
            (memory.First[lane], memory.End[lane]) = (first, end);
            if (lane < lanes)
            {
                (maxFirst, minEnd) = (Math.Max(maxFirst, first), Math.Min(minEnd, end));
                if (first < end)
                {
                    (lo, hi) = (Math.Min(lo, first), Math.Max(hi, end));
                }
            }
        }

        int width = (lanes + (2 * V.Count) - 1) / (2 * V.Count) * (2 * V.Count);
        LoadQuery(problem, b, lanes, width, memory);
        Start(call, width, spoken != 0, split, memory);
        int valueSize = problem.Value.IsEmpty ? 0 : problem.ValueHeadSize;

        for (int key = lo & ~(BlockMemory.TileKeys - 1); key < hi; key += BlockMemory.TileKeys)
        {
            int keys = Math.Min(BlockMemory.TileKeys, hi - key);
            bool masked = maxFirst > key || key + keys > minEnd;

            float* k = Rows(problem.Key, b, kvHead, key, keys, problem.HeadSize, memory.Key, out nint keyStride);
            Gemm.Multiply<V>(k, keyStride, 1, memory.Query, memory.Scores, keys, problem.HeadSize, width, accumulate: false);
            FinishLogits(problem, b, key, keys, lanes, width, masked, memory);

            // Rows of a tile in which some row does not see some key: a value that is not finite must not reach that row as 0 * NaN.
            bool partial = masked || !problem.Bias.IsEmpty;
            TileRoles tile = spoken == 0 ? default : AlignTile(call, b, key, keys, roles, memory);
            bool splitTile = split && tile.HasAligned;
            if (splitTile)
            {
                SoftmaxSplit(tile, call->Plan.Boxed + ((long)b * problem.KeyLength) + key, keys, width, memory);
                Rescale(memory.AlignedOutput, memory.AlignedCorrection, valueSize, width);
                if (call->Bias.SpeakerScores != null)
                {
                    Rescale(memory.SpeakerSums, memory.AlignedCorrection, call->Bias.SpeakerCount, width);
                    AddSpeakerSums(call, b, key, keys, memory.AlignedScores, memory);
                }
            }
            else
            {
                if (tile.HasBoxed)
                {
                    TrackMaxima(call->Plan.Boxed + ((long)b * problem.KeyLength) + key, keys, width, memory);
                }
                Softmax(partial, keys, width, memory);
                if (spoken != 0)
                {
                    AddClassSums(call, b, key, keys, tile, width, split, memory);
                }
            }
            if (valueSize == 0)
            {
                continue;
            }

            Rescale(memory.Output, memory.Correction, valueSize, width);
            float* v = Rows(problem.Value, b, kvHead, key, keys, valueSize, memory.Value, out nint valueStride);
            bool finite = !(partial || splitTile) || AllFinite(v, valueStride, keys, valueSize);
            AddValues(v, valueStride, memory.Scores, memory.Output, valueSize, keys, width, finite);
            if (splitTile)
            {
                AddValues(v + (tile.FirstAligned * valueStride), valueStride, memory.AlignedScores + (tile.FirstAligned * Pitch),
                    memory.AlignedOutput, valueSize, tile.EndAligned - tile.FirstAligned, width, finite);
            }
        }

        AddSink(call, lanes, valueSize, split, memory);
        StoreRows(call, b, lanes, valueSize, split, memory);
    }
}
