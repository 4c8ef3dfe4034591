using System.Runtime.CompilerServices;
using AttentionKernels.Kernels.Device;
using ILGPU;

namespace AttentionKernels.Kernels;

/// <summary>Attention without roles, soft-cap and bias: 128 query rows of one head against all keys that they see, in one pass.</summary>
/// <remarks>
/// <code>
/// grid (row blocks of the batch or length of <c>blocks</c>, heads), 128 threads: 4 warps of 32 rows
/// in   query [B, H, S, D], key, value [B, H / headGroup, T, D]       16 bits, strides in elements, rows 16-byte aligned
///      blocks int32 [grid.x], keyLengths int32 [B], queryOffsets int32 [B], headSink float [H]: address 0, absent
///      scaleLog2                                                      scale * log2(e), above 0
/// out  output [B, H, S, D]
/// </code>
/// Tiles of 32 keys in two buffers: the next tile comes while one is multiplied, one barrier for each. With 70 KB at D = 128 two blocks fit on a multiprocessor of
/// compute capability 8.0 and 9.0. A warp has two row fragments, so that each ldmatrix of keys or values serves four products; with one it would serve two, and shared
/// memory would be the limit. At D = 128 the output takes 128 registers; logits of 64 keys would take 64 more, and what remains of 255 is not enough.
/// </remarks>
internal static class PrefillPlainKernel
{
    /// <summary>Query rows of a block.</summary>
    public const int Rows = 128;

    private const int WarpRows = 32;

    /// <summary>Query rows, and two tiles of keys and of values.</summary>
    public static int SharedBytes(int headSize) => (Rows + (4 * 32)) * ((headSize * 2) + 16);

    public static void Run<T, H>(
        long query, long queryBatch, long queryHead, long queryRow,
        long key, long keyBatch, long keyHead, long keyRow,
        long value, long valueBatch, long valueHead, long valueRow,
        long output, long outputBatch, long outputHead, long outputRow,
        long blocks, long keyLengths, long queryOffsets, long headSink,
        int batch, int headGroup, int queryLength, int keyLength, int causal, int window, float scaleLog2)
        where T : struct, IElement
        where H : struct, IHead
    {
        int shared = BlockMemory.Start(), lane = Group.IdxX & 31, warp = Group.IdxX >> 5;
        RowBlock block = RowBlock.Of(blocks, batch, queryLength, Rows);
        Visibility v = Visibility.Of(block.Batch, keyLengths, queryOffsets, queryLength, keyLength, causal, window);
        int first = Visibility.First(v, v.Offset + block.FirstRow) & -32;
        int end = Visibility.End(v, v.Offset + Math.Min(block.FirstRow + Rows, queryLength) - 1);

        int copyTo = HeadTile<H>.To(shared);
        query += ((block.Batch * queryBatch) + (Grid.IdxY * queryHead) + (block.FirstRow * queryRow)) * 2;
        query = HeadTile<H>.From(query, queryRow * 2);
        HeadTile<H>.Copy(copyTo, query, queryRow * 2, queryLength - block.FirstRow);
        HeadTile<H>.Copy(copyTo + HeadTile<H>.Bytes, query + (queryRow * 64), queryRow * 2, queryLength - block.FirstRow - 32);
        HeadTile<H>.Copy(copyTo + (2 * HeadTile<H>.Bytes), query + (queryRow * 128), queryRow * 2, queryLength - block.FirstRow - 64);
        HeadTile<H>.Copy(copyTo + (3 * HeadTile<H>.Bytes), query + (queryRow * 192), queryRow * 2, queryLength - block.FirstRow - 96);

        // Buffers: keys and values of a tile, then those of the next one; "buffer" is 0 or the distance between them.
        int keyValueHead = Grid.IdxY / headGroup, buffer = 0, buffers = 2 * HeadTile<H>.Bytes;
        key = HeadTile<H>.From(key + (((block.Batch * keyBatch) + (keyValueHead * keyHead) + (first * keyRow)) * 2), keyRow * 2);
        value = HeadTile<H>.From(value + (((block.Batch * valueBatch) + (keyValueHead * valueHead) + (first * valueRow)) * 2), valueRow * 2);
        copyTo += 4 * HeadTile<H>.Bytes;
        HeadTile<H>.Copy(copyTo, key, keyRow * 2, v.Keys - first);
        HeadTile<H>.Copy(copyTo + HeadTile<H>.Bytes, value, valueRow * 2, v.Keys - first);
        AsyncCopy.Commit();

        int ownRows = shared + (warp * WarpRows * HeadTile<H>.Pitch);
        int queryAddress = Products<T, H>.RowAddress(ownRows, lane);
        int keyAddress = Products<T, H>.KeyAddress(shared + (4 * HeadTile<H>.Bytes), lane);
        int valueAddress = Products<T, H>.RowAddress(shared + (5 * HeadTile<H>.Bytes), lane);
        int position = v.Offset + block.FirstRow + (warp * WarpRows) + (lane >> 2); // of the lane's first row; the others are 8, 16 and 24 on

        Fragment[] s = new Fragment[2 * Products<T, H>.LogitFragments], o = new Fragment[2 * Products<T, H>.OutputFragments];
        RowState r0 = RowState.Empty(), r1 = RowState.Empty();
        for (; first < end; first += 32)
        {
            AsyncCopy.WaitAll();
            Group.Barrier(); // this tile is there, and nobody reads the last one any more
            key += keyRow * 64;
            value += valueRow * 64;
            if (first + 32 < end)
            {
                HeadTile<H>.Copy(copyTo + (buffers - buffer), key, keyRow * 2, v.Keys - first - 32);
                HeadTile<H>.Copy(copyTo + (buffers - buffer) + HeadTile<H>.Bytes, value, valueRow * 2, v.Keys - first - 32);
                AsyncCopy.Commit();
            }

            Products<T, H>.QueryKey(s, queryAddress, keyAddress + buffer, 2);
            if ((first < Visibility.First(v, position + 24)) | (first + 32 > Visibility.End(v, position)))
            {
                LogitMask.Apply(s, 0, v, position, first + ((lane & 3) * 2));
                LogitMask.Apply(s, 4, v, position + 16, first + ((lane & 3) * 2));
            }
            Softmax.Raise(s, 0, scaleLog2, ref r0, out float upper0, out float lower0);
            Softmax.Raise(s, 4, scaleLog2, ref r1, out float upper1, out float lower1);
            OutputRows<T, H>.Multiply(o, 0, upper0, lower0);
            OutputRows<T, H>.Multiply(o, Products<T, H>.OutputFragments, upper1, lower1);
            Add<T, H>(s, 0, o, scaleLog2, ref r0, ref r1, valueAddress + buffer);
            Add<T, H>(s, 2, o, scaleLog2, ref r0, ref r1, Products<T, H>.Skip16(valueAddress + buffer));
            buffer = buffers - buffer;
        }

        AsyncCopy.WaitAll();
        Group.Barrier(); // without a tile, copies of the query could still be under way
        float sink = Softmax.Sink(headSink, Grid.IdxY);
        Store<T, H>(o, 0, r0, sink, ownRows, lane);
        Store<T, H>(o, Products<T, H>.OutputFragments, r1, sink, Products<T, H>.Skip16(ownRows), lane);
        int row = block.FirstRow + (warp * WarpRows);
        output += ((block.Batch * outputBatch) + (Grid.IdxY * outputHead) + (row * outputRow)) * 2;
        OutputRows<T, H>.ToGlobal(ownRows, output, outputRow * 2, Math.Min(queryLength - row, WarpRows), lane);
    }

    // 16 keys: their exponentials and the product with their values. The product of some keys can run while the next exponentials are computed.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<T, H>(Fragment[] s, int at, Fragment[] o, float log2, ref RowState r0, ref RowState r1, int value)
        where T : struct, IElement
        where H : struct, IHead
    {
        Int4 p0 = Softmax.Exponentials<T>(s[at], s[at + 1], log2, ref r0);
        Int4 p1 = Softmax.Exponentials<T>(s[4 + at], s[4 + at + 1], log2, ref r1);
        Products<T, H>.AddValues(o, p0, p1, value, 2);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<T, H>(Fragment[] o, int at, RowState r, float sink, int shared, int lane)
        where T : struct, IElement
        where H : struct, IHead =>
        OutputRows<T, H>.ToShared(
            o, at, Softmax.Normaliser(r.UpperMaximum, r.UpperSum, sink), Softmax.Normaliser(r.LowerMaximum, r.LowerSum, sink), shared, lane);
}
