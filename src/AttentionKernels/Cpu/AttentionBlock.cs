using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace AttentionKernels.Cpu;

/// <summary>
/// Attention of one block of up to 64 query rows over all their visible keys, in one pass: the class-partitioned online softmax.
/// </summary>
/// <remarks>
/// Everything is transposed, S^T = K Q^T and O^T = V^T P^T, with one vector lane for each query row. Softmax then needs no reduction
/// across lanes, K and V are read where they lie, and a row's arithmetic never depends on its neighbours: results are bit-identical
/// for any batch, any split of the rows and any number of threads. Key tiles start at multiples of 64 for the same reason.
///
/// A task takes a few blocks (panels) through K and V together: each tile comes from memory, and is widened or brought together, once for
/// all of them.
///
/// A tile costs a second PV product only where it holds keys aligned with a row of the block that may be steered; every other tile
/// is plain flash attention, with sums over its keys of V_all when the block has rows of U.
/// </remarks>
/// <typeparam name="V">Vector type of the instruction set.</typeparam>
internal static unsafe partial class AttentionBlock<V>
    where V : struct, IVector<V>
{
    private const int Pitch = Gemm.Pitch;

    /// <summary>Lanes that a tile treats alike: one vector.</summary>
    private static int LaneGroup
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => V.Count;
    }

    /// <summary>A bit for each lane of a group.</summary>
    private static ulong GroupMask
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (1ul << V.Count) - 1;
    }

    /// <summary>Computes task <paramref name="task"/> of the call, a few panels of one key head, with <paramref name="workerMemory"/> as working memory.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(void* state, int task, byte* workerMemory)
    {
        var call = (AttentionCall*)state;
        ref readonly AttentionProblem problem = ref call->Problem;
        // Later rows see more keys when causal: they go first, so that the last task to finish is a short one.
        int group = task / call->TasksPerGroup, first = (call->TasksPerGroup - 1 - (task % call->TasksPerGroup)) * call->PanelsPerTask;
        int count = Math.Min(call->PanelsPerTask, (call->RowBlocks * call->HeadBlocks) - first);
        int kvHead = group % problem.KvHeads, b = group / problem.KvHeads;

        BlockMemory* panels = stackalloc BlockMemory[AttentionCall.MaxPanels];
        var scratch = new ScratchCursor(workerMemory);
        BlockMemory.Lay(ref scratch, problem, call->Bias, count, panels);
        int lo = int.MaxValue, hi = 0;
        for (int p = 0; p < count; p++)
        {
            Begin(call, b, kvHead, first + p, ref panels[p]);
            (lo, hi) = (Math.Min(lo, panels[p].Lo), Math.Max(hi, panels[p].Hi));
        }

        int valueSize = problem.Value.IsEmpty ? 0 : problem.ValueHeadSize;
        for (int key = lo & ~(BlockMemory.TileKeys - 1); key < hi; key += BlockMemory.TileKeys)
        {
            KeyTile tile = new() { First = key, RolesRow = -1, Keys = Math.Min(BlockMemory.TileKeys, hi - key) };
            tile.Key = Rows(problem.Key, b, kvHead, key, tile.Keys, problem.HeadSize, panels->Key, out tile.KeyStride);
            tile.Value = valueSize == 0 ? null : Rows(problem.Value, b, kvHead, key, tile.Keys, valueSize, panels->Value, out tile.ValueStride);
            int next = key + BlockMemory.TileKeys;
            tile.Ahead = next < hi ? TilePrefetch.Of(problem, b, kvHead, next, Math.Min(BlockMemory.TileKeys, hi - next)) : default;
            for (int p = 0; p < count; p++)
            {
                if (key < panels[p].Hi && key + tile.Keys > panels[p].Lo)
                {
                    AddTile(call, b, &tile, panels[p]);
                }
            }
        }
        for (int p = 0; p < count; p++)
        {
            if (panels[p].Lanes > 0)
            {
                AddSink(call, valueSize, panels[p]);
                StoreRows(call, b, valueSize, panels[p]);
            }
        }
    }

    /// <summary>Loads a panel's query rows and works out what they see. A panel that has nothing to compute gets no lanes and no keys.</summary>
    private static void Begin(AttentionCall* call, int b, int kvHead, int index, ref BlockMemory panel)
    {
        ref readonly AttentionProblem problem = ref call->Problem;
        int group = problem.Heads / problem.KvHeads;
        int firstHead = (kvHead * group) + (index % call->HeadBlocks * call->HeadsPerBlock);
        int heads = Math.Min(call->HeadsPerBlock, ((kvHead + 1) * group) - firstHead);
        int firstRow = index / call->HeadBlocks * call->RowsPerBlock;
        int rows = Math.Min(call->RowsPerBlock, problem.QueryLength - firstRow);

        int lanes = 0;
        ulong spoken = 0;
        bool ordered = call->NeedsAligned;
        for (int h = firstHead; h < firstHead + heads; h++)
        {
            for (int i = firstRow; i < firstRow + rows; i++, lanes++)
            {
                panel.Head[lanes] = h;
                (panel.Row[lanes], panel.Spoken[lanes]) = (i, -1);
                if (call->Spoken > 0)
                {
                    long first = (long)b * problem.QueryLength;
                    panel.Row[lanes] = ordered ? call->Plan.Order[first + i] : i;
                    panel.Spoken[lanes] = call->Plan.SpokenIndex[first + panel.Row[lanes]];
                    spoken |= panel.Spoken[lanes] >= 0 ? 1ul << lanes : 0;
                }
            }
        }
        Debug.Assert(lanes <= Pitch && (spoken == 0 || heads == 1));
        (panel.Lo, panel.Hi, panel.Lanes) = (int.MaxValue, 0, 0);
        if (problem.Value.IsEmpty && spoken == 0)
        {
            return;
        }
        panel.Lanes = lanes;
        panel.Width = (lanes + LaneGroup - 1) / LaneGroup * LaneGroup;
        panel.SpokenLanes = spoken;
        panel.Split = spoken != 0 && call->MayBeActive(b, firstHead);
        panel.RunCount = spoken == 0 || !ordered ? 0 : CollectRuns(call, panel);

        // Visible keys: [Lo, Hi) is what any row sees, [MaxFirst, MinEnd) what all rows see.
        (panel.MaxFirst, panel.MinEnd) = (0, int.MaxValue);
        for (int lane = 0; lane < Pitch; lane++)
        {
            (int first, int end) = lane < lanes ? problem.VisibleKeys(b, problem.OffsetOf(b) + panel.Row[lane]) : (0, 0);
            (panel.First[lane], panel.End[lane]) = (first, end);
            if (lane < lanes)
            {
                (panel.MaxFirst, panel.MinEnd) = (Math.Max(panel.MaxFirst, first), Math.Min(panel.MinEnd, end));
                if (first < end)
                {
                    (panel.Lo, panel.Hi) = (Math.Min(panel.Lo, first), Math.Max(panel.Hi, end));
                }
            }
        }
        LoadQuery(problem, b, panel);
        Start(call, panel);
    }

    /// <summary>One tile of keys for one panel: logits, softmax, product with V.</summary>
    private static void AddTile(AttentionCall* call, int b, KeyTile* tile, in BlockMemory panel)
    {
        ref readonly AttentionProblem problem = ref call->Problem;
        int width = panel.Width, valueSize = tile->Value == null ? 0 : problem.ValueHeadSize;
        int key = tile->First, keys = Math.Min(tile->Keys, panel.Hi - key);
        bool masked = panel.MaxFirst > key || key + keys > panel.MinEnd;
        bool trimmed = TrimTile(key, keys, masked, !problem.Bias.IsEmpty, panel);
        MultiplyKeys(tile, problem.HeadSize, keys, trimmed, panel);
        FinishLogits(problem, b, key, keys, masked, panel);

        // Rows of a tile in which some row does not see some key: a value that is not finite must not reach that row as 0 * NaN. Nor must that of an aligned key, which
        // is 0 in one of the two products.
        bool partial = masked || !problem.Bias.IsEmpty;
        TileRoles roles = panel.HasSpoken ? RolesOf(call, b, tile, keys, panel) : default;
        bool splitTile = panel.Split && roles.Aligned != 0, whole = !panel.Split && call->MeasuresAligned;
        bool classes = roles.Boxed != 0 && !whole;
        if (whole && roles.Boxed != 0)
        {
            TrackMaxima(roles.Boxed, panel);
        }
        for (int lane = 0; lane < width; lane += LaneGroup)
        {
            if (classes && ((panel.SpokenLanes >> lane) & GroupMask) != 0)
            {
                SoftmaxClasses(call, b, key, lane, panel);
            }
            else
            {
                Softmax(lane, panel);
            }
        }
        if (panel.HasSpoken && !classes)
        {
            AddClassSums(call, b, key, keys, roles.Boxed, panel);
        }
        else if (splitTile && call->Bias.SpeakerScores != null)
        {
            Rescale(panel.SpeakerSums, panel.AlignedCorrection, call->Bias.SpeakerCount, width);
            AddSpeakerSums(call, b, key, keys, split: true, panel);
        }
        if (valueSize == 0)
        {
            return;
        }

        Rescale(panel.Output, panel.Correction, valueSize, width);
        ulong zeros = partial ? ulong.MaxValue >> (BlockMemory.TileKeys - keys) : splitTile ? roles.Aligned : 0;
        bool finite = AreFinite(tile, zeros, valueSize);
        if (!finite)
        {
            AddVisibleValues(tile, valueSize, panel);
        }
        else if (trimmed)
        {
            AddTrimmedValues(tile, valueSize, keys, panel);
        }
        else
        {
            Gemm.Multiply<V>(tile->Value, 1, tile->ValueStride, panel.Scores, panel.Output, valueSize, keys, width, accumulate: true, &tile->Ahead);
        }
        if (splitTile)
        {
            AddAlignedValues(tile, valueSize, finite, panel);
        }
    }

    /// <summary>The tile's roles for a panel. Heads of a group with the same rows come one after the other: the first one's are still there for the others.</summary>
    private static TileRoles RolesOf(AttentionCall* call, int b, KeyTile* tile, int keys, in BlockMemory panel)
    {
        if (tile->RolesRow != panel.Row[0])
        {
            (tile->RolesRow, tile->Roles) = (panel.Row[0], AlignTile(call, b, tile->First, keys, panel));
        }
        return tile->Roles;
    }
}
