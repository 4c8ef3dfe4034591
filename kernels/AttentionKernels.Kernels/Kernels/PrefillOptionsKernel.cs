using System.Runtime.CompilerServices;
using AttentionKernels.Kernels.Device;
using ILGPU;

namespace AttentionKernels.Kernels;

/// <summary>
/// Attention of 64 query rows of one head with what <see cref="PrefillPlainKernel"/> and <see cref="PrefillClassesKernel"/> lack: soft-cap, dense bias, any scale. Rows of U may be among them.
/// </summary>
/// <remarks>
/// Grid = (entries of blocks, or B * rowBlocks without a list; H).
/// <code>
/// in   query, key, value [B, heads, tokens, D] of T by strides, rows 16-byte aligned
///      bias         [B, H, S, T] of T by strides; 0: none
///      headSink     [H] float32; 0: none           keyLengths, queryOffsets [B] int32; 0: keyLength, keyLength - queryLength
///      blocks       [n] int32                      b * rowBlocks + row block; 0: all
///      spokenIndex  [B, S] int32                   row's index in U, -1: not in U; 0: no row is
///      run          [U] int32                      row of aligned
///      aligned      [runs, tiles] uint64           a bit for each key, 64 keys a tile
///      boxed        [B, tiles] uint64              keys of V_all
/// out  output       [B, H, S, D] of T              rows that are not in U; 0 where no key is seen
///      stats        [H, U, 8] float32              see <see cref="SpokenStats"/>
///      outputs      [H, U, 2, D] float32           aligned, rest; relative to the class's maximum, not normalised; 0 where a class saw no key
/// </code>
/// Values that a row does not see count 0 times: within the key length they must be finite.
///
/// One sweep: a warp has one row fragment, and in the registers of a second one's output are the outputs of aligned keys. On a tile where no row of the warp has an aligned key, nothing
/// happens to them. On others the tile is taken twice, and the logit of a key is -inf where it is not in the class. Shared memory is the limit, at 40 % of the peak; but soft-cap and bias cost
/// more than that already, and two row fragments with their addresses do not fit in 255 registers.
/// </remarks>
internal static class PrefillOptionsKernel
{
    /// <summary>Query rows of a block.</summary>
    public const int Rows = 64;

    /// <summary>Keys of a tile.</summary>
    public const int Keys = HeadTile<Head64>.Rows;

    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    private const int WarpRows = 16;

    /// <summary>Query rows, and two tiles of keys and of values.</summary>
    public static int SharedBytes(int headSize) => (Rows + (4 * Keys)) * ((headSize * 2) + 16);

    public static void Run<T, H>(
        long query, long queryBatchStride, long queryHeadStride, long queryTokenStride,
        long key, long keyBatchStride, long keyHeadStride, long keyTokenStride,
        long value, long valueBatchStride, long valueHeadStride, long valueTokenStride,
        long output, long outputBatchStride, long outputHeadStride, long outputTokenStride,
        long bias, long biasBatchStride, long biasHeadStride, long biasTokenStride,
        long headSink, long keyLengths, long queryOffsets, long blocks,
        long spokenIndex, long run, long aligned, long boxed, long stats, long outputs,
        int heads, int kvHeads, int queryLength, int keyLength, int rowBlocks, int tiles, int spoken,
        float scale, float softcap, int causal, int window)
        where T : struct, IElement
        where H : struct, IHead
    {
        int shared = BlockMemory.Start(), lane = Group.IdxX & 31, warp = Group.IdxX >> 5;
        RowBlock block = RowBlock.Of(blocks, rowBlocks, Rows);
        Visibility v = Visibility.Of(block.Batch, keyLengths, queryOffsets, queryLength, keyLength, causal, window);
        int first = Visibility.First(v, v.Offset + block.FirstRow) & -Keys;
        int end = Visibility.End(v, v.Offset + Math.Min(block.FirstRow + Rows, queryLength) - 1);

        query += ((block.Batch * queryBatchStride) + (Grid.IdxY * queryHeadStride)) * 2;
        HeadTile<H>.CopyQuery(shared, query, queryTokenStride, block.FirstRow, queryLength);
        int kvHead = Grid.IdxY / (heads / kvHeads), keys = shared + (2 * HeadTile<H>.Bytes);
        key += ((block.Batch * keyBatchStride) + (kvHead * keyHeadStride)) * 2;
        value += ((block.Batch * valueBatchStride) + (kvHead * valueHeadStride)) * 2;
        TilePipeline pipeline = TilePipeline.Start<H>(keys, key, keyTokenStride, value, valueTokenStride, first, v.Keys);

        int ownRows = shared + (warp * WarpRows * HeadTile<H>.Pitch);
        int queryAddress = Products<T, H>.RowAddress(ownRows, lane);
        int keyAddress = Products<T, H>.KeyAddress(keys, lane), valueAddress = Products<T, H>.RowAddress(keys + HeadTile<H>.Bytes, lane);
        int row = block.FirstRow + (warp * WarpRows) + (lane >> 2), position = v.Offset + row; // the lane's upper row; the lower one is 8 on

        LogitOptions options = LogitOptions.Of(
            bias, (block.Batch * biasBatchStride) + (Grid.IdxY * biasHeadStride), biasTokenStride, queryLength, v.Keys, scale, softcap);
        ClassRows r = ClassRows.Of(
            ClassRows.IndexOf(spokenIndex, block.Batch, row, queryLength), ClassRows.IndexOf(spokenIndex, block.Batch, row + 8, queryLength), run, tiles);
        int boxedBits = spokenIndex == 0 ? -1 : block.Batch * tiles * 2;

        Fragment[] s = new Fragment[4], a = new Fragment[4], o = new Fragment[2 * Products<T, H>.OutputFragments];
        for (; first < end; first += Keys)
        {
            int upperKeys = ClassRows.UpperKeys(r, aligned, first, lane), lowerKeys = ClassRows.LowerKeys(r, aligned, first, lane);
            int boxedKeys = ClassRows.Word(boxed, boxedBits, first), ownKey = first + ((lane & 3) * 2);
            TilePipeline.Next<H>(ref pipeline, first, end);
            Products<T, H>.QueryKey(s, queryAddress, keyAddress + pipeline.Buffer, 1);
            LogitOptions.Apply<T>(s, 0, options, row, ownKey);
            if ((first < Visibility.First(v, position + 8)) | (first + Keys > Visibility.End(v, position)))
            {
                LogitMask.Apply(s, 0, v, position, ownKey);
            }

            int ownValues = valueAddress + pipeline.Buffer;
            if (Lanes.Any(((upperKeys | lowerKeys) & 0x03030303) != 0))
            {
                ClassRows.Split(s, 0, a, upperKeys, lowerKeys);
                Add<T, H>(a, o, Products<T, H>.OutputFragments, ref r.Aligned, ownValues, out _, out _);
            }
            Add<T, H>(s, o, 0, ref r.Rest, ownValues, out float upper, out float lower);
            ClassRows.Rescale(ref r, upper, lower);
            if (boxedKeys != 0)
            {
                ClassRows.AddBoxed(s, 0, boxedKeys >> ((lane & 3) * 2), ref r);
            }
        }

        AsyncCopy.WaitAll();
        Group.Barrier(); // without a tile, copies of the query could still be under way
        float sink = Softmax.Sink(headSink, Grid.IdxY);
        OutputRows<T, H>.ToShared(
            o, 0, Softmax.Normaliser(r.Rest.UpperMaximum, r.Rest.UpperSum, sink), Softmax.Normaliser(r.Rest.LowerMaximum, r.Rest.LowerSum, sink), ownRows, lane);
        int warpRow = block.FirstRow + (warp * WarpRows);
        output += ((block.Batch * outputBatchStride) + (Grid.IdxY * outputHeadStride) + (warpRow * outputTokenStride)) * 2;
        long indices = spokenIndex == 0 ? 0 : spokenIndex + ((((long)block.Batch * queryLength) + warpRow) * 4);
        OutputRows<T, H>.ToGlobal(ownRows, output, outputTokenStride * 2, Math.Min(queryLength - warpRow, WarpRows), indices, lane);

        int upperIndex = ClassRows.IndexOf(spokenIndex, block.Batch, row, queryLength), lowerIndex = ClassRows.IndexOf(spokenIndex, block.Batch, row + 8, queryLength);
        SpokenStats upperStats = ClassRows.Upper(r), lowerStats = ClassRows.Lower(r);
        if (upperIndex >= 0)
        {
            Leave<T, H>(upperStats, o, isUpper: true, stats, outputs, ((long)Grid.IdxY * spoken) + upperIndex, lane);
        }
        if (lowerIndex >= 0)
        {
            Leave<T, H>(lowerStats, o, isUpper: false, stats, outputs, ((long)Grid.IdxY * spoken) + lowerIndex, lane);
        }
    }

    // A tile's keys of one class: what was summed before becomes relative to the new maxima, then their exponentials and the product with their values.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<T, H>(Fragment[] s, Fragment[] o, int at, ref RowState r, int value, out float upper, out float lower)
        where T : struct, IElement
        where H : struct, IHead
    {
        Softmax.Raise(s, 0, 1, ref r, out upper, out lower);
        OutputRows<T, H>.Multiply(o, at, upper, lower);
        Products<T, H>.AddValues(o, at, Softmax.Exponentials<T>(s[0], s[1], 1, ref r), value);
        Products<T, H>.AddValues(o, at, Softmax.Exponentials<T>(s[2], s[3], 1, ref r), Products<T, H>.Skip16(value));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Leave<T, H>(SpokenStats row, Fragment[] o, bool isUpper, long stats, long outputs, long at, int lane)
        where T : struct, IElement
        where H : struct, IHead
    {
        if ((lane & 3) == 0)
        {
            row.Store(stats + (at * SpokenStats.Bytes));
        }
        OutputRows<T, H>.ToFloats(o, Products<T, H>.OutputFragments, isUpper, outputs + (at * 2 * H.Size * 4), lane);
        OutputRows<T, H>.ToFloats(o, 0, isUpper, outputs + (((at * 2) + 1) * H.Size * 4), lane);
    }
}
