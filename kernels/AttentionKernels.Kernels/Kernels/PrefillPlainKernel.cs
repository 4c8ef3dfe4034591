using System.Runtime.CompilerServices;
using AttentionKernels.Kernels.Device;
using ILGPU;

namespace AttentionKernels.Kernels;

/// <summary>Attention without roles, soft-cap and bias: 128 query rows of one head against all keys that they see, in one pass.</summary>
/// <remarks>
/// Grid = (entries of blocks, or B * rowBlocks without a list; H).
/// <code>
/// in   query, key, value [B, heads, tokens, D] of T by strides, rows 16-byte aligned
///      headSink     [H] float32; 0: none           keyLengths, queryOffsets [B] int32; 0: keyLength, keyLength - queryLength
///      blocks       [n] int32                      b * rowBlocks + row block; 0: all
///      scale                                       above 0
/// out  output       [B, H, S, D] of T              0 where no key is seen
/// </code>
/// Values that a row does not see count 0 times: within the key length they must be finite.
///
/// Tiles of 32 keys in two buffers: the next tile comes while one is multiplied, one barrier for each. With 70 KB at D = 128 two blocks fit on a multiprocessor of
/// compute capability 8.0 and 9.0, and registers allow no more. A warp has two row fragments, so that each ldmatrix of keys or values serves four products; with one it would serve two, and
/// shared memory would be the limit. At D = 128 the output takes 128 registers; logits of 64 keys would take 64 more, and what remains of 255 is not enough.
/// <code>
/// v1 output rescaled by the running maximum in each tile     587 instructions for a tile of D = 128 on sm_90
/// v2 only when a level is exceeded (<see cref="LazyRows"/>)          446; D = 64: 319 instead of 417
///    query in registers up to D = 96                         16 ldmatrix for 64 products at D = 64, not 24
/// -- three blocks at D = 64, in 168 registers                4 to 60 bytes of spills, whether 4 or 3 of the query's 4 steps stay in registers
/// </code>
/// </remarks>
internal static class PrefillPlainKernel
{
    /// <summary>Query rows of a block.</summary>
    public const int Rows = 128;

    /// <summary>Keys of a tile.</summary>
    public const int Keys = HeadTile<Head64>.Rows;

    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    private const int WarpRows = 32;

    /// <summary>Query rows, and two tiles of keys and of values.</summary>
    public static int SharedBytes(int headSize) => (Rows + (4 * 32)) * ((headSize * 2) + 16);

    public static void Run<T, H>(
        long query, long queryBatchStride, long queryHeadStride, long queryTokenStride,
        long key, long keyBatchStride, long keyHeadStride, long keyTokenStride,
        long value, long valueBatchStride, long valueHeadStride, long valueTokenStride,
        long output, long outputBatchStride, long outputHeadStride, long outputTokenStride,
        long headSink, long keyLengths, long queryOffsets, long blocks,
        int heads, int kvHeads, int queryLength, int keyLength, int rowBlocks, float scale, int causal, int window)
        where T : struct, IElement
        where H : struct, IHead
    {
        int shared = BlockMemory.Start(), lane = Group.IdxX & 31, warp = Group.IdxX >> 5;
        RowBlock block = RowBlock.Of(blocks, rowBlocks, Rows);
        Visibility v = Visibility.Of(block.Batch, keyLengths, queryOffsets, queryLength, keyLength, causal, window);
        int first = Visibility.First(v, v.Offset + block.FirstRow) & -32;
        int end = Visibility.End(v, v.Offset + Math.Min(block.FirstRow + Rows, queryLength) - 1);
        v.Keys = end; // what no row of the block sees need not be copied

        query += ((block.Batch * queryBatchStride) + (Grid.IdxY * queryHeadStride)) * 2;
        HeadTile<H>.CopyQuery(shared, query, queryTokenStride, block.FirstRow, queryLength);
        HeadTile<H>.CopyQuery(shared + (2 * HeadTile<H>.Bytes), query, queryTokenStride, block.FirstRow + 64, queryLength);
        int kvHead = Grid.IdxY / (heads / kvHeads), keys = shared + (4 * HeadTile<H>.Bytes);
        key += ((block.Batch * keyBatchStride) + (kvHead * keyHeadStride)) * 2;
        value += ((block.Batch * valueBatchStride) + (kvHead * valueHeadStride)) * 2;
        TilePipeline tiles = TilePipeline.Start<H>(keys, key, keyTokenStride, value, valueTokenStride, first, v.Keys);

        int ownRows = shared + (warp * WarpRows * HeadTile<H>.Pitch);
        int queryAddress = Products<T, H>.RowAddress(ownRows, lane);
        int keyAddress = Products<T, H>.KeyAddress(keys, lane);
        int valueAddress = Products<T, H>.RowAddress(keys + HeadTile<H>.Bytes, lane);
        int position = v.Offset + block.FirstRow + (warp * WarpRows) + (lane >> 2); // of the lane's first row; the others are 8, 16 and 24 on

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
            TilePipeline.Next<H>(ref tiles, first, end);
            Products<T, H>.QueryKey(s, q, queryAddress, keyAddress + tiles.Buffer);
            if ((first < Visibility.First(v, position + 24)) | (first + Keys > Visibility.End(v, position)))
            {
                LogitMask.Apply(s, 0, v, position, first + ((lane & 3) * 2));
                LogitMask.Apply(s, 4, v, position + 16, first + ((lane & 3) * 2));
            }
            LazyRows.Largest(s, 0, out float upper0, out float lower0);
            LazyRows.Largest(s, 4, out float upper1, out float lower1);
            if (Lanes.Any(LazyRows.IsExceeded(r0, upper0, lower0, log2) | LazyRows.IsExceeded(r1, upper1, lower1, log2)))
            {
                LazyRows.Raise(ref r0, ref upper0, ref lower0, log2);
                LazyRows.Raise(ref r1, ref upper1, ref lower1, log2);
                OutputRows<T, H>.Multiply(o, 0, upper0, lower0);
                OutputRows<T, H>.Multiply(o, Products<T, H>.OutputFragments, upper1, lower1);
            }
            Add<T, H>(s, 0, o, log2, ref r0, ref r1, valueAddress + tiles.Buffer);
            Add<T, H>(s, 2, o, log2, ref r0, ref r1, Products<T, H>.Skip16(valueAddress + tiles.Buffer));
        }

        AsyncCopy.WaitAll();
        Group.Barrier(); // without a tile, copies of the query could still be under way
        float sink = Softmax.Sink(headSink, Grid.IdxY);
        Store<T, H>(o, 0, r0, sink, ownRows, lane);
        Store<T, H>(o, Products<T, H>.OutputFragments, r1, sink, Products<T, H>.Skip16(ownRows), lane);
        int row = block.FirstRow + (warp * WarpRows);
        output += ((block.Batch * outputBatchStride) + (Grid.IdxY * outputHeadStride) + (row * outputTokenStride)) * 2;
        OutputRows<T, H>.ToGlobal(ownRows, output, outputTokenStride * 2, Math.Min(queryLength - row, WarpRows), spoken: 0, lane);
    }

    // 16 keys: their exponentials and the product with their values. The product of some keys can run while the next exponentials are computed.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<T, H>(Fragment[] s, int at, Fragment[] o, float log2, ref LazyRows r0, ref LazyRows r1, int value)
        where T : struct, IElement
        where H : struct, IHead
    {
        LazyRows.Exponentiate(s, at, log2, ref r0);
        LazyRows.Exponentiate(s, 4 + at, log2, ref r1);
        Products<T, H>.AddValues(o, LazyRows.Pack<T>(s, at), LazyRows.Pack<T>(s, 4 + at), value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<T, H>(Fragment[] o, int at, LazyRows r, float sink, int shared, int lane)
        where T : struct, IElement
        where H : struct, IHead =>
        OutputRows<T, H>.ToShared(
            o, at, LazyRows.Normaliser(r.UpperLevel, r.UpperSum, sink), LazyRows.Normaliser(r.LowerLevel, r.LowerSum, sink), shared, lane);
}
