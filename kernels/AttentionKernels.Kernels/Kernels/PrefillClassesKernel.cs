using System.Runtime.CompilerServices;
using AttentionKernels.Kernels.Device;
using ILGPU;

namespace AttentionKernels.Kernels;

/// <summary>As <see cref="PrefillPlainKernel"/>, for 128 query rows of which some are in U: their aligned keys are kept apart.</summary>
/// <remarks>
/// Grid = (entries of blocks, or B * rowBlocks without a list; H).
/// <code>
/// in   query, key, value [B, heads, tokens, D] of T by strides, rows 16-byte aligned
///      headSink     [H] float32; 0: none           keyLengths, queryOffsets [B] int32; 0: keyLength, keyLength - queryLength
///      blocks       [n] int32                      b * rowBlocks + row block; 0: all
///      spokenIndex  [B, S] int32                   row's index in U, -1: not in U
///      run          [U] int32                      row of aligned
///      aligned      [runs, tiles] uint64           a bit for each key, 64 keys a tile; only keys that boxed has
///      boxed        [B, tiles] uint64              keys of V_all
///      scale                                       above 0
/// out  output       [B, H, S, D] of T              rows that are not in U; 0 where no key is seen
///      stats        [H, U, 8] float32              see <see cref="SpokenStats"/>
///      outputs      [H, U, 2, D] float32           aligned, rest; relative to the class's maximum, not normalised; 0 where a class saw no key
/// </code>
/// Values that a row does not see count 0 times: within the key length they must be finite.
///
/// Two sweeps with the same output registers, since those of both classes do not fit. The first goes over all tiles, with the logits of aligned keys at -inf: the rest. A tile with keys of V_all also
/// yields the rest's largest logit and sum on them. The second goes over tiles that hold an aligned key of some row of the block, and leaves only these keys. A warp without rows of U skips both
/// additions, and a warp multiplies only tiles of the second sweep that its own rows need. An utterance is aligned with the boxes of one speaker in the frames that it overlaps, a tile or two of
/// ten, say. What the second sweep reads a second time comes from the L2 cache: "one pass" means that there is no other one over all keys and values.
/// <code>
/// v1 one sweep, 64 rows, outputs of both classes in registers        40 ldmatrix for 64 products: shared memory allows 40 % of the peak, 67 % in the plain kernel
/// v2 two sweeps, 128 rows                                            48 for 128, as in the plain kernel
///    predicted: no more instructions than plain where a tile has no key of V_all, 15 % more where it has; it is 7 % and 37 % (475 and 611 to 446), with as many products and loads of operands
/// -- a product of its own for tiles with keys of V_all               78 to 149 moves at the end of each tile, 404 bytes of spills
/// -- what rows saw of V_all in registers                             8 more than there are
/// </code>
/// </remarks>
internal static class PrefillClassesKernel
{
    /// <summary>Query rows of a block.</summary>
    public const int Rows = 128;

    /// <summary>Keys of a tile.</summary>
    public const int Keys = HeadTile<Head64>.Rows;

    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    private const int WarpRows = 32;

    /// <summary>Query rows, two tiles of keys and of values, which tiles each warp needs again, and <see cref="BoxedRows"/>.</summary>
    public static int SharedBytes(int headSize) => ((Rows + (4 * Keys)) * ((headSize * 2) + 16)) + (Threads * 4) + BoxedRows.Bytes;

    public static void Run<T, H>(
        long query, long queryBatchStride, long queryHeadStride, long queryTokenStride,
        long key, long keyBatchStride, long keyHeadStride, long keyTokenStride,
        long value, long valueBatchStride, long valueHeadStride, long valueTokenStride,
        long output, long outputBatchStride, long outputHeadStride, long outputTokenStride,
        long headSink, long keyLengths, long queryOffsets, long blocks,
        long spokenIndex, long run, long aligned, long boxed, long stats, long outputs,
        int heads, int kvHeads, int queryLength, int keyLength, int rowBlocks, int tiles, int spoken, float scale, int causal, int window)
        where T : struct, IElement
        where H : struct, IHead
    {
        int shared = BlockMemory.Start(), lane = Group.IdxX & 31, warp = Group.IdxX >> 5;
        RowBlock block = RowBlock.Of(blocks, rowBlocks, Rows);
        Visibility v = Visibility.Of(block.Batch, keyLengths, queryOffsets, queryLength, keyLength, causal, window);
        int first = Visibility.First(v, v.Offset + block.FirstRow) & -Keys;
        int end = Visibility.End(v, v.Offset + Math.Min(block.FirstRow + Rows, queryLength) - 1);
        v.Keys = end; // what no row of the block sees need not be copied

        query += ((block.Batch * queryBatchStride) + (Grid.IdxY * queryHeadStride)) * 2;
        HeadTile<H>.CopyQuery(shared, query, queryTokenStride, block.FirstRow, queryLength);
        HeadTile<H>.CopyQuery(shared + (2 * HeadTile<H>.Bytes), query, queryTokenStride, block.FirstRow + 64, queryLength);
        int kvHead = Grid.IdxY / (heads / kvHeads), keys = shared + (4 * HeadTile<H>.Bytes);
        key += ((block.Batch * keyBatchStride) + (kvHead * keyHeadStride)) * 2;
        value += ((block.Batch * valueBatchStride) + (kvHead * valueHeadStride)) * 2;
        TilePipeline pipeline = TilePipeline.Start<H>(keys, key, keyTokenStride, value, valueTokenStride, first, v.Keys);

        int queryAddress = Products<T, H>.RowAddress(shared + (warp * WarpRows * HeadTile<H>.Pitch), lane);
        int keyAddress = Products<T, H>.KeyAddress(keys, lane);
        int valueAddress = Products<T, H>.RowAddress(keys + HeadTile<H>.Bytes, lane);
        int warpRow = block.FirstRow + (warp * WarpRows);
        int position = v.Offset + warpRow + (lane >> 2); // of the lane's first row; the others are 8, 16 and 24 on

        // Here a lane stands for the row of its number.
        int index = ClassRows.IndexOf(spokenIndex, block.Batch, warpRow + lane, queryLength);
        AlignedTiles needed = AlignedTiles.Of(index, run, tiles);
        int boxedBits = Lanes.Any(index >= 0) ? block.Batch * tiles * 2 : -1;
        int notes = keys + (4 * HeadTile<H>.Bytes), ownBoxed = BoxedRows.Start(notes + (Threads * 4));

        Fragment[] s = new Fragment[2 * Products<T, H>.LogitFragments], o = new Fragment[2 * Products<T, H>.OutputFragments];
        LazyRows r0 = LazyRows.Empty(), r1 = LazyRows.Empty();
        float log2 = scale * Arithmetic.Log2E;
        Int4[] q = new Int4[Products<T, H>.QueryFragments];
        if (Products<T, H>.KeepsQuery)
        {
            TilePipeline.WaitForQuery();
            Products<T, H>.LoadQuery(q, queryAddress);
        }
        for (; first < end; first += Keys)
        {
            int boxedKeys = ClassRows.Word(boxed, boxedBits, first);
            TilePipeline.Next<H>(ref pipeline, first, end);
            Products<T, H>.QueryKey(s, q, queryAddress, keyAddress + pipeline.Buffer);
            Mask(s, v, position, first, lane);
            if (boxedKeys != 0)
            {
                int alignedKeys = AlignedTiles.Keys(needed, aligned, first);
                if (Lanes.Any(alignedKeys != 0))
                {
                    AlignedTiles.Note(ref needed, tiles, first, lane);
                    int row = lane >> 2;
                    AlignedTiles.Hide(s, 0, AlignedTiles.OfRow(alignedKeys, row, lane), AlignedTiles.OfRow(alignedKeys, row + 8, lane));
                    AlignedTiles.Hide(s, 4, AlignedTiles.OfRow(alignedKeys, row + 16, lane), AlignedTiles.OfRow(alignedKeys, row + 24, lane));
                }
                BoxedRows.AddLogits(s, boxedKeys >> ((lane & 3) * 2), ownBoxed);
            }
            LazyRows.Largest(s, 0, out float upper0, out float lower0);
            LazyRows.Largest(s, 4, out float upper1, out float lower1);
            if (Lanes.Any(LazyRows.IsExceeded(r0, upper0, lower0, log2) | LazyRows.IsExceeded(r1, upper1, lower1, log2)))
            {
                LazyRows.Raise(ref r0, ref upper0, ref lower0, log2);
                LazyRows.Raise(ref r1, ref upper1, ref lower1, log2);
                OutputRows<T, H>.Multiply(o, 0, upper0, lower0);
                OutputRows<T, H>.Multiply(o, Products<T, H>.OutputFragments, upper1, lower1);
                BoxedRows.Rescale(ownBoxed, upper0, lower0, upper1, lower1);
            }
            Add<T, H>(s, 0, o, log2, ref r0, ref r1, boxedKeys, lane, ownBoxed, valueAddress + pipeline.Buffer);
            Add<T, H>(s, 2, o, log2, ref r0, ref r1, boxedKeys >> 16, lane, ownBoxed, Products<T, H>.Skip16(valueAddress + pipeline.Buffer));
        }

        // The query stays for the second sweep; results go through the memory of the tiles.
        BlockMemory.Store(notes + (Group.IdxX * 4), needed.Noted);
        AsyncCopy.WaitAll();
        Group.Barrier();
        float sink = Softmax.Sink(headSink, Grid.IdxY);
        int ownRows = keys + (warp * WarpRows * HeadTile<H>.Pitch);
        Store<T, H>(o, 0, r0, sink, ownRows, lane);
        Store<T, H>(o, Products<T, H>.OutputFragments, r1, sink, Products<T, H>.Skip16(ownRows), lane);
        output += ((block.Batch * outputBatchStride) + (Grid.IdxY * outputHeadStride) + (warpRow * outputTokenStride)) * 2;
        OutputRows<T, H>.ToGlobal(
            ownRows, output, outputTokenStride * 2, Math.Min(queryLength - warpRow, WarpRows), spokenIndex + ((((long)block.Batch * queryLength) + warpRow) * 4), lane);

        stats += (long)Grid.IdxY * spoken * SpokenStats.Bytes;
        outputs += (long)Grid.IdxY * spoken * 2 * H.Size * 4;
        int ownRow = warpRow + (lane >> 2);
        int index0 = ClassRows.IndexOf(spokenIndex, block.Batch, ownRow, queryLength), index1 = ClassRows.IndexOf(spokenIndex, block.Batch, ownRow + 8, queryLength);
        int index2 = ClassRows.IndexOf(spokenIndex, block.Batch, ownRow + 16, queryLength), index3 = ClassRows.IndexOf(spokenIndex, block.Batch, ownRow + 24, queryLength);
        Float4 maxBoxed = BoxedRows.Largest(ownBoxed), sumBoxed = BoxedRows.Sums(ownBoxed);
        LeaveRest(r0.UpperLevel, r0.UpperSum, maxBoxed.X * log2, sumBoxed.X, index0, stats, lane);
        LeaveRest(r0.LowerLevel, r0.LowerSum, maxBoxed.Y * log2, sumBoxed.Y, index1, stats, lane);
        LeaveRest(r1.UpperLevel, r1.UpperSum, maxBoxed.Z * log2, sumBoxed.Z, index2, stats, lane);
        LeaveRest(r1.LowerLevel, r1.LowerSum, maxBoxed.W * log2, sumBoxed.W, index3, stats, lane);
        Leave<T, H>(o, 0, index0, index1, outputs + (H.Size * 4), lane);
        Leave<T, H>(o, Products<T, H>.OutputFragments, index2, index3, outputs + (H.Size * 4), lane);

        notes += lane * 4;
        needed.Noted = BlockMemory.LoadInt(notes) | BlockMemory.LoadInt(notes + 128) | BlockMemory.LoadInt(notes + 256) | BlockMemory.LoadInt(notes + 384);
        Group.Barrier(); // the tiles' memory is free again
        OutputRows<T, H>.Clear(o);
        RowState a0 = RowState.Empty(), a1 = RowState.Empty();
        int next = AlignedTiles.Take(ref needed, tiles, lane);
        if (next < end)
        {
            TilePipeline.Skip(ref pipeline, next - first);
            TilePipeline.Restart<H>(ref pipeline, next);
        }
        while (next < end)
        {
            // To the next tile that the warp needs; those that other warps need are only copied.
            int alignedKeys;
            bool isNeeded;
            do
            {
                first = next;
                next = AlignedTiles.After(ref needed, tiles, first, lane);
                alignedKeys = AlignedTiles.Keys(needed, aligned, first);
                TilePipeline.Skip(ref pipeline, next - Keys - first);
                TilePipeline.Next<H>(ref pipeline, next - Keys, end);
                isNeeded = Lanes.Any(alignedKeys != 0);
            }
            while (!isNeeded & next < end);
            if (!isNeeded)
            {
                break;
            }
            Products<T, H>.QueryKey(s, q, queryAddress, keyAddress + pipeline.Buffer);
            Mask(s, v, position, first, lane);
            int row = lane >> 2;
            AlignedTiles.Keep(s, 0, AlignedTiles.OfRow(alignedKeys, row, lane), AlignedTiles.OfRow(alignedKeys, row + 8, lane), log2);
            AlignedTiles.Keep(s, 4, AlignedTiles.OfRow(alignedKeys, row + 16, lane), AlignedTiles.OfRow(alignedKeys, row + 24, lane), log2);
            Softmax.Raise(s, 0, 1, ref a0, out float upper0, out float lower0);
            Softmax.Raise(s, 4, 1, ref a1, out float upper1, out float lower1);
            OutputRows<T, H>.Multiply(o, 0, upper0, lower0);
            OutputRows<T, H>.Multiply(o, Products<T, H>.OutputFragments, upper1, lower1);
            AddAligned<T, H>(s, 0, o, ref a0, ref a1, valueAddress + pipeline.Buffer);
            AddAligned<T, H>(s, 2, o, ref a0, ref a1, Products<T, H>.Skip16(valueAddress + pipeline.Buffer));
        }
        LeaveAligned(a0.UpperMaximum, a0.UpperSum, index0, stats, lane);
        LeaveAligned(a0.LowerMaximum, a0.LowerSum, index1, stats, lane);
        LeaveAligned(a1.UpperMaximum, a1.UpperSum, index2, stats, lane);
        LeaveAligned(a1.LowerMaximum, a1.LowerSum, index3, stats, lane);
        Leave<T, H>(o, 0, index0, index1, outputs, lane);
        Leave<T, H>(o, Products<T, H>.OutputFragments, index2, index3, outputs, lane);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Mask(Fragment[] s, Visibility v, int position, int first, int lane)
    {
        if ((first < Visibility.First(v, position + 24)) | (first + Keys > Visibility.End(v, position)))
        {
            LogitMask.Apply(s, 0, v, position, first + ((lane & 3) * 2));
            LogitMask.Apply(s, 4, v, position + 16, first + ((lane & 3) * 2));
        }
    }

    // 16 keys, as in the plain kernel.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<T, H>(
        Fragment[] s, int at, Fragment[] o, float log2, ref LazyRows r0, ref LazyRows r1, int boxedKeys, int lane, int ownBoxed, int value)
        where T : struct, IElement
        where H : struct, IHead
    {
        LazyRows.Exponentiate(s, at, log2, ref r0);
        LazyRows.Exponentiate(s, 4 + at, log2, ref r1);
        if (boxedKeys != 0)
        {
            BoxedRows.AddExponentials(s, at, boxedKeys >> ((lane & 3) * 2), ownBoxed);
        }
        Products<T, H>.AddValues(o, LazyRows.Pack<T>(s, at), LazyRows.Pack<T>(s, 4 + at), value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddAligned<T, H>(Fragment[] s, int at, Fragment[] o, ref RowState a0, ref RowState a1, int value)
        where T : struct, IElement
        where H : struct, IHead
    {
        Int4 p0 = Softmax.Exponentials<T>(s[at], s[at + 1], 1, ref a0);
        Int4 p1 = Softmax.Exponentials<T>(s[4 + at], s[4 + at + 1], 1, ref a1);
        Products<T, H>.AddValues(o, p0, p1, value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<T, H>(Fragment[] o, int at, LazyRows r, float sink, int shared, int lane)
        where T : struct, IElement
        where H : struct, IHead =>
        OutputRows<T, H>.ToShared(
            o, at, LazyRows.Normaliser(r.UpperLevel, r.UpperSum, sink), LazyRows.Normaliser(r.LowerLevel, r.LowerSum, sink), shared, lane);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LeaveRest(float level, float sum, float maxBoxed, float sumBoxed, int index, long stats, int lane)
    {
        sum = Lanes.QuadSum(sum);
        maxBoxed = Lanes.QuadMax(maxBoxed);
        sumBoxed = Lanes.QuadSum(sumBoxed);
        if (index >= 0 & (lane & 3) == 0)
        {
            SpokenStats.StoreRest(stats + ((long)index * SpokenStats.Bytes), level, sum, maxBoxed, sumBoxed);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LeaveAligned(float maximum, float sum, int index, long stats, int lane)
    {
        sum = Lanes.QuadSum(sum);
        if (index >= 0 & (lane & 3) == 0)
        {
            SpokenStats.StoreAligned(stats + ((long)index * SpokenStats.Bytes), maximum, sum);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Leave<T, H>(Fragment[] o, int at, int upper, int lower, long outputs, int lane)
        where T : struct, IElement
        where H : struct, IHead
    {
        if (upper >= 0)
        {
            OutputRows<T, H>.ToFloats(o, at, isUpper: true, outputs + ((long)upper * 2 * H.Size * 4), lane);
        }
        if (lower >= 0)
        {
            OutputRows<T, H>.ToFloats(o, at, isUpper: false, outputs + ((long)lower * 2 * H.Size * 4), lane);
        }
    }
}
