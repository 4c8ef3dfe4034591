using System.Runtime.CompilerServices;
using AttentionKernels.Kernels.Device;
using ILGPU;

namespace AttentionKernels.Kernels;

/// <summary>What rows of U leave for the gate, from queries and keys alone: the statistics of <see cref="PrefillClassesKernel"/> without values and outputs.</summary>
/// <remarks>
/// Grid = (entries of blocks, or B * rowBlocks without a list; H). 128 rows a block.
/// <code>
/// in   query, key   [B, heads, tokens, D] of T by strides, rows 16-byte aligned
///      bias         [B, H, S, T] of T by strides; 0: none
///      keyLengths, queryOffsets [B] int32; 0: keyLength, keyLength - queryLength
///      blocks       [n] int32                      b * rowBlocks + row block; 0: all
///      spokenIndex  [B, S] int32                   row's index in U, -1: not in U
///      run          [U] int32                      row of aligned
///      aligned      [runs, tiles] uint64           a bit for each key, 64 keys a tile
///      boxed        [B, tiles] uint64              keys of V_all
/// out  stats        [H, U, 8] float32              see <see cref="SpokenStats"/>
/// </code>
/// A warp has two row fragments, as in <see cref="PrefillPlainKernel"/>. Without outputs there is room to split on every tile that holds keys of V_all, whether or not one is aligned.
/// </remarks>
internal static class ScoresOnlyKernel
{
    /// <summary>Query rows of a block.</summary>
    public const int Rows = 128;

    /// <summary>Keys of a tile.</summary>
    public const int Keys = HeadTile<Head64>.Rows;

    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    private const int WarpRows = 32;

    /// <summary>Query rows, and two tiles of keys.</summary>
    public static int SharedBytes(int headSize) => (Rows + (2 * Keys)) * ((headSize * 2) + 16);

    public static void Run<T, H>(
        long query, long queryBatchStride, long queryHeadStride, long queryTokenStride,
        long key, long keyBatchStride, long keyHeadStride, long keyTokenStride,
        long bias, long biasBatchStride, long biasHeadStride, long biasTokenStride,
        long keyLengths, long queryOffsets, long blocks,
        long spokenIndex, long run, long aligned, long boxed, long stats,
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
        HeadTile<H>.CopyQuery(shared + (2 * HeadTile<H>.Bytes), query, queryTokenStride, block.FirstRow + 64, queryLength);
        int kvHead = Grid.IdxY / (heads / kvHeads), keys = shared + (4 * HeadTile<H>.Bytes);
        key += ((block.Batch * keyBatchStride) + (kvHead * keyHeadStride)) * 2;
        TilePipeline pipeline = TilePipeline.Start<H>(keys, key, keyTokenStride, first, v.Keys);

        int queryAddress = Products<T, H>.RowAddress(shared + (warp * WarpRows * HeadTile<H>.Pitch), lane), keyAddress = Products<T, H>.KeyAddress(keys, lane);
        int row = block.FirstRow + (warp * WarpRows) + (lane >> 2), position = v.Offset + row; // the lane's first row; the others are 8, 16 and 24 on
        LogitOptions options = LogitOptions.Of(
            bias, (block.Batch * biasBatchStride) + (Grid.IdxY * biasHeadStride), biasTokenStride, queryLength, v.Keys, scale, softcap);
        int index0 = ClassRows.IndexOf(spokenIndex, block.Batch, row, queryLength), index1 = ClassRows.IndexOf(spokenIndex, block.Batch, row + 8, queryLength);
        int index2 = ClassRows.IndexOf(spokenIndex, block.Batch, row + 16, queryLength), index3 = ClassRows.IndexOf(spokenIndex, block.Batch, row + 24, queryLength);
        ClassRows r0 = ClassRows.Of(index0, index1, run, tiles), r1 = ClassRows.Of(index2, index3, run, tiles);
        int boxedBits = block.Batch * tiles * 2;

        Fragment[] s = new Fragment[2 * Products<T, H>.LogitFragments], a = new Fragment[2 * Products<T, H>.LogitFragments];
        for (; first < end; first += Keys)
        {
            int upper0 = ClassRows.UpperKeys(r0, aligned, first, lane), lower0 = ClassRows.LowerKeys(r0, aligned, first, lane);
            int upper1 = ClassRows.UpperKeys(r1, aligned, first, lane), lower1 = ClassRows.LowerKeys(r1, aligned, first, lane);
            int boxedKeys = ClassRows.Word(boxed, boxedBits, first), ownBoxed = boxedKeys >> ((lane & 3) * 2);
            TilePipeline.Next<H>(ref pipeline, first, end);
            Products<T, H>.QueryKey(s, queryAddress, keyAddress + pipeline.Buffer, 2);
            int ownKey = first + ((lane & 3) * 2);
            LogitOptions.Apply<T>(s, 0, options, row, ownKey);
            LogitOptions.Apply<T>(s, 4, options, row + 16, ownKey);
            if ((first < Visibility.First(v, position + 24)) | (first + Keys > Visibility.End(v, position)))
            {
                LogitMask.Apply(s, 0, v, position, ownKey);
                LogitMask.Apply(s, 4, v, position + 16, ownKey);
            }
            if (boxedKeys != 0)
            {
                AddClasses<T>(s, 0, a, upper0, lower0, ownBoxed, ref r0);
                AddClasses<T>(s, 4, a, upper1, lower1, ownBoxed, ref r1);
            }
            else
            {
                AddRest<T>(s, 0, ref r0);
                AddRest<T>(s, 4, ref r1);
            }
        }

        AsyncCopy.WaitAll(); // without a tile, copies of the query could still be under way
        stats += (long)Grid.IdxY * spoken * SpokenStats.Bytes;
        Leave(ClassRows.Upper(r0), index0, stats, lane);
        Leave(ClassRows.Lower(r0), index1, stats, lane);
        Leave(ClassRows.Upper(r1), index2, stats, lane);
        Leave(ClassRows.Lower(r1), index3, stats, lane);
    }

    // A tile with keys of V_all, of which rows of the fragment may be aligned with some.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddClasses<T>(Fragment[] s, int at, Fragment[] a, int upper, int lower, int boxed, ref ClassRows r)
        where T : struct, IElement
    {
        ClassRows.Split(s, at, a, upper, lower);
        Softmax.Raise(a, at, 1, ref r.Aligned, out _, out _);
        _ = Softmax.Exponentials<T>(a[at], a[at + 1], 1, ref r.Aligned);
        _ = Softmax.Exponentials<T>(a[at + 2], a[at + 3], 1, ref r.Aligned);
        AddRest<T>(s, at, ref r);
        ClassRows.AddBoxed(s, at, boxed, ref r);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddRest<T>(Fragment[] s, int at, ref ClassRows r)
        where T : struct, IElement
    {
        Softmax.Raise(s, at, 1, ref r.Rest, out float upper, out float lower);
        ClassRows.Rescale(ref r, upper, lower);
        _ = Softmax.Exponentials<T>(s[at], s[at + 1], 1, ref r.Rest);
        _ = Softmax.Exponentials<T>(s[at + 2], s[at + 3], 1, ref r.Rest);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Leave(SpokenStats row, int index, long stats, int lane)
    {
        if (index >= 0 & (lane & 3) == 0)
        {
            row.Store(stats + ((long)index * SpokenStats.Bytes));
        }
    }
}
