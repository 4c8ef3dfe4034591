using System.Runtime.CompilerServices;
using AttentionKernels.Kernels.Device;
using ILGPU;

namespace AttentionKernels.Kernels;

/// <summary>
/// Attention of 64 query rows over all their keys in float32 arithmetic without tensor cores: any head size, any stride, any alignment, float32 too.
/// </summary>
/// <remarks>
/// Grid = (entries of blocks, or B * rowBlocks without a list; H; ceil(valueHeadSize / 128)). A block has 16 x 16 threads: thread (x, y) has rows
/// 4y to 4y + 3, of a tile's logits keys 4x to 4x + 3, and of 128 columns of the output 4x to 4x + 3 and 64 more. Q and K pass through shared memory
/// 32 elements of a head at a time, values 32 keys at a time, so no head size is too large; more than 128 value columns cost the logits again.
/// <code>
/// in   query, key, value [B, heads, tokens, size] of T by strides; value 0: only statistics of rows of U are wanted
///      bias         [B, H, S, T] of T by strides; 0: none
///      headSink     [H] float32; 0: none           keyLengths, queryOffsets [B] int32; 0: keyLength, keyLength - queryLength
///      blocks       [n] int32                      b * rowBlocks + row block; 0: all
///      spokenIndex  [B, S] int32                   row's index in U, -1: not in U      (this and what follows: split rows only)
///      run          [U] int32                      row of aligned
///      aligned      [runs, tiles] uint64           a bit for each key, 64 keys a tile
///      boxed        [B, tiles] uint64              keys of V_all
/// out  output       [B, H, S, valueHeadSize] of T  rows that are not in U; 0 where no key is seen
///      stats        [H, U, 8] float32              see <see cref="SpokenStats"/>
///      outputs      [H, U, 2, valueHeadSize] float32  aligned, rest; not normalised; 0 where a class saw no key
/// </code>
/// </remarks>
internal static partial class PrefillSimtKernel
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 256;

    /// <summary>Query rows of a block.</summary>
    public const int Rows = 64;

    /// <summary>Keys of a tile.</summary>
    public const int Keys = 64;

    /// <summary>Value columns of a block.</summary>
    public const int Columns = 128;

    private const int Depth = 32;          // elements of Q and K in shared memory at a time
    private const int ValueKeys = 32;      // keys of V in shared memory at a time
    private const int Pitch = 68 * 4;      // bytes of 64 floats: 16-byte aligned, and eight d x four rows meet in no bank
    private const int OperandBytes = 2 * Depth * Pitch;
    private const int WeightBytes = Keys * Pitch;

    /// <summary>Dynamic shared memory: Q and K, or V in their place, and the weights of the tile's keys for each class.</summary>
    public const int PlainSharedBytes = OperandBytes + WeightBytes;

    /// <inheritdoc cref="PlainSharedBytes"/>
    public const int SplitSharedBytes = OperandBytes + (2 * WeightBytes);

    public static void Run<T, TClasses>(
        long query, long queryBatchStride, long queryHeadStride, long queryTokenStride,
        long key, long keyBatchStride, long keyHeadStride, long keyTokenStride,
        long value, long valueBatchStride, long valueHeadStride, long valueTokenStride,
        long output, long outputBatchStride, long outputHeadStride, long outputTokenStride,
        long bias, long biasBatchStride, long biasHeadStride, long biasTokenStride,
        long headSink, long keyLengths, long queryOffsets, long blocks,
        long spokenIndex, long run, long aligned, long boxed, long stats, long outputs,
        int heads, int kvHeads, int queryLength, int keyLength, int headSize, int valueHeadSize, int rowBlocks, int tiles, int spoken,
        float scale, float softcap, int causal, int window)
        where T : struct, IElement
        where TClasses : struct, IRowClasses
    {
        int shared = BlockMemory.Start(), weights = shared + OperandBytes, alignedWeights = weights + WeightBytes;
        int thread = Group.IdxX, x = thread & 15, y = thread >> 4;
        RowBlock block = RowBlock.Of(blocks, rowBlocks, Rows);
        int b = block.Batch, h = Grid.IdxY, kvHead = h / (heads / kvHeads);
        int firstRow = block.FirstRow, myRow = firstRow + (4 * y);
        int column = Grid.IdxZ * Columns;

        Visibility v = Visibility.Of(b, keyLengths, queryOffsets, queryLength, keyLength, causal, window);
        int keys = v.Keys, lastRow = IntrinsicMath.Min(firstRow + Rows, queryLength) - 1;
        int begin = Visibility.First(v, v.Offset + firstRow), end = Visibility.End(v, v.Offset + lastRow);

        int[] first = new int[4], last = new int[4], index = new int[4];
        long[] alignedRow = new long[4];
        Prepare<TClasses>(0, myRow, b, queryLength, v, spokenIndex, run, aligned, tiles, first, last, index, alignedRow);
        Prepare<TClasses>(1, myRow, b, queryLength, v, spokenIndex, run, aligned, tiles, first, last, index, alignedRow);
        Prepare<TClasses>(2, myRow, b, queryLength, v, spokenIndex, run, aligned, tiles, first, last, index, alignedRow);
        Prepare<TClasses>(3, myRow, b, queryLength, v, spokenIndex, run, aligned, tiles, first, last, index, alignedRow);

        float[] restMax = new float[4], restSum = new float[4], alignedMax = new float[4], alignedSum = new float[4], boxedMax = new float[4], boxedSum = new float[4];
        Fill(restMax, float.NegativeInfinity);
        Fill(restSum, 0f);
        Fill(alignedMax, float.NegativeInfinity);
        Fill(alignedSum, 0f);
        Fill(boxedMax, float.NegativeInfinity);
        Fill(boxedSum, 0f);
        float[] rest = new float[32], raised = new float[32]; // outputs [4 rows, 8 columns] of the two classes
        Clear32(rest);
        Clear32(raised);

        long queryHead = query + (((b * queryBatchStride) + (h * queryHeadStride)) * T.Bytes);
        long keyHead = key + (((b * keyBatchStride) + (kvHead * keyHeadStride)) * T.Bytes);
        long valueHead = value + (((b * valueBatchStride) + (kvHead * valueHeadStride) + column) * T.Bytes);
        long biasRow = bias + (((b * biasBatchStride) + (h * biasHeadStride) + (myRow * biasTokenStride)) * T.Bytes);
        int columns = IntrinsicMath.Min(Columns, valueHeadSize - column);

        // Four rows and eight elements for each 32 threads: full sectors of global memory, and no two threads in one bank.
        int loadRow = (thread & 3) | ((thread >> 5) << 2), loadDepth = (thread >> 2) & 7;
        float[] s = new float[16];

        for (int tile = begin / Keys; tile * Keys < end; tile++)
        {
            int firstKey = tile * Keys;
            Clear16(s);
            for (int d = 0; d < headSize; d += Depth)
            {
                int depth = headSize - d - loadDepth;
                long queryAt = queryHead + (((long)d + loadDepth) * T.Bytes), keyAt = keyHead + (((long)d + loadDepth) * T.Bytes);
                int target = shared + (loadDepth * Pitch) + (loadRow * 4);
                LoadOperand<T>(queryAt, queryTokenStride, firstRow + loadRow, queryLength, depth, target);
                LoadOperand<T>(queryAt, queryTokenStride, firstRow + loadRow + 32, queryLength, depth, target + 128);
                LoadOperand<T>(keyAt, keyTokenStride, firstKey + loadRow, keys, depth, target + (Depth * Pitch));
                LoadOperand<T>(keyAt, keyTokenStride, firstKey + loadRow + 32, keys, depth, target + (Depth * Pitch) + 128);
                Group.Barrier();
                int mine = shared + (16 * y), theirs = shared + (Depth * Pitch) + (16 * x);
                for (int n = 0; n < Depth; n += 4)
                {
                    MultiplyKeys(s, mine + (n * Pitch), theirs + (n * Pitch));
                    MultiplyKeys(s, mine + ((n + 1) * Pitch), theirs + ((n + 1) * Pitch));
                    MultiplyKeys(s, mine + ((n + 2) * Pitch), theirs + ((n + 2) * Pitch));
                    MultiplyKeys(s, mine + ((n + 3) * Pitch), theirs + ((n + 3) * Pitch));
                }
                Group.Barrier();
            }

            int myKey = firstKey + (4 * x);
            Logits<T>(s, 0, scale, softcap, bias != 0, biasRow, myKey, first, last);
            Logits<T>(s, 1, scale, softcap, bias != 0, biasRow + (biasTokenStride * T.Bytes), myKey, first, last);
            Logits<T>(s, 2, scale, softcap, bias != 0, biasRow + (2 * biasTokenStride * T.Bytes), myKey, first, last);
            Logits<T>(s, 3, scale, softcap, bias != 0, biasRow + (3 * biasTokenStride * T.Bytes), myKey, first, last);

            int alignedKeys = 0; // bits 4i to 4i + 3: my keys that are aligned with my row i
            if (TClasses.AreSplit)
            {
                int boxedKeys = (int)(GlobalMemory.LoadLong(boxed + ((((long)b * tiles) + tile) * 8)) >> (4 * x)) & 15;
                alignedKeys = AlignedKeys(0, alignedRow, tile, x) | AlignedKeys(1, alignedRow, tile, x) | AlignedKeys(2, alignedRow, tile, x) | AlignedKeys(3, alignedRow, tile, x);
                SplitSoftmax(s, 0, alignedKeys, boxedKeys, restMax, restSum, alignedMax, alignedSum, boxedMax, boxedSum, rest, raised);
                SplitSoftmax(s, 1, alignedKeys >> 4, boxedKeys, restMax, restSum, alignedMax, alignedSum, boxedMax, boxedSum, rest, raised);
                SplitSoftmax(s, 2, alignedKeys >> 8, boxedKeys, restMax, restSum, alignedMax, alignedSum, boxedMax, boxedSum, rest, raised);
                SplitSoftmax(s, 3, alignedKeys >> 12, boxedKeys, restMax, restSum, alignedMax, alignedSum, boxedMax, boxedSum, rest, raised);
            }
            else
            {
                WholeSoftmax(s, 0, restMax, restSum, rest);
                WholeSoftmax(s, 1, restMax, restSum, rest);
                WholeSoftmax(s, 2, restMax, restSum, rest);
                WholeSoftmax(s, 3, restMax, restSum, rest);
            }
            if (value == 0)
            {
                continue;
            }

            bool isSplit = false;
            if (TClasses.AreSplit)
            {
                isSplit = Group.BarrierOr(alignedKeys != 0);
                StoreWeights(s, ~alignedKeys, weights, x, y);
                if (isSplit)
                {
                    StoreWeights(s, alignedKeys, alignedWeights, x, y);
                }
            }
            else
            {
                StoreWeights(s, -1, weights, x, y);
            }
            for (int half = 0; half < Keys; half += ValueKeys)
            {
                int odd = 0;
                for (int n = thread >> 7; n < ValueKeys; n += 2)
                {
                    int token = firstKey + half + n, c = thread & 127;
                    float element = 0f;
                    if (token < keys && c < columns)
                    {
                        element = GlobalMemory.LoadElement<T>(valueHead + (((token * valueTokenStride) + c) * T.Bytes));
                    }
                    odd |= IntrinsicMath.Abs(element) < float.PositiveInfinity ? 0 : 1;
                    BlockMemory.Store(shared + (((n * Columns) + c) * 4), element);
                }
                if (Group.BarrierOr(odd != 0))
                {
                    // A key that a row does not see contributes nothing, whatever its value holds: such keys have weight -0.
                    for (int n = 0; n < ValueKeys; n++)
                    {
                        MultiplySeenValues(rest, weights + ((half + n) * Pitch) + (16 * y), shared + (n * Columns * 4) + (16 * x));
                        if (TClasses.AreSplit && isSplit)
                        {
                            MultiplySeenValues(raised, alignedWeights + ((half + n) * Pitch) + (16 * y), shared + (n * Columns * 4) + (16 * x));
                        }
                    }
                }
                else
                {
                    for (int n = 0; n < ValueKeys; n += 2)
                    {
                        MultiplyValues(rest, weights + ((half + n) * Pitch) + (16 * y), shared + (n * Columns * 4) + (16 * x));
                        MultiplyValues(rest, weights + ((half + n + 1) * Pitch) + (16 * y), shared + ((n + 1) * Columns * 4) + (16 * x));
                    }
                    if (TClasses.AreSplit && isSplit)
                    {
                        for (int n = 0; n < ValueKeys; n += 2)
                        {
                            MultiplyValues(raised, alignedWeights + ((half + n) * Pitch) + (16 * y), shared + (n * Columns * 4) + (16 * x));
                            MultiplyValues(raised, alignedWeights + ((half + n + 1) * Pitch) + (16 * y), shared + ((n + 1) * Columns * 4) + (16 * x));
                        }
                    }
                }
                Group.Barrier();
            }
        }

        Reduce<TClasses>(0, restSum, alignedSum, boxedMax, boxedSum);
        Reduce<TClasses>(1, restSum, alignedSum, boxedMax, boxedSum);
        Reduce<TClasses>(2, restSum, alignedSum, boxedMax, boxedSum);
        Reduce<TClasses>(3, restSum, alignedSum, boxedMax, boxedSum);
        float sink = headSink == 0 ? float.NegativeInfinity : GlobalMemory.LoadFloat(headSink + (h * 4L));
        long outputRow = output + (((b * outputBatchStride) + (h * outputHeadStride) + (myRow * outputTokenStride) + column + (4 * x)) * T.Bytes);
        int left = columns - (4 * x); // in the first 64 columns; in the next 64 fewer
        if (myRow < queryLength)
        {
            int u = TClasses.AreSplit ? index[0] : -1;
            if (u < 0)
            {
                Write<T>(0, value != 0, restMax, restSum, rest, sink, outputRow, left);
            }
            else
            {
                long spokenRow = ((long)h * spoken) + u, spokenOutput = outputs + (((spokenRow * 2 * valueHeadSize) + column + (4 * x)) * 4);
                Leave(0, x + column == 0, value != 0, restMax, restSum, alignedMax, alignedSum, boxedMax, boxedSum, rest, raised, stats + (spokenRow * SpokenStats.Bytes), spokenOutput, valueHeadSize, left);
            }
        }
        if (myRow + 1 < queryLength)
        {
            int u = TClasses.AreSplit ? index[1] : -1;
            if (u < 0)
            {
                Write<T>(1, value != 0, restMax, restSum, rest, sink, outputRow + (1 * outputTokenStride * T.Bytes), left);
            }
            else
            {
                long spokenRow = ((long)h * spoken) + u, spokenOutput = outputs + (((spokenRow * 2 * valueHeadSize) + column + (4 * x)) * 4);
                Leave(1, x + column == 0, value != 0, restMax, restSum, alignedMax, alignedSum, boxedMax, boxedSum, rest, raised, stats + (spokenRow * SpokenStats.Bytes), spokenOutput, valueHeadSize, left);
            }
        }
        if (myRow + 2 < queryLength)
        {
            int u = TClasses.AreSplit ? index[2] : -1;
            if (u < 0)
            {
                Write<T>(2, value != 0, restMax, restSum, rest, sink, outputRow + (2 * outputTokenStride * T.Bytes), left);
            }
            else
            {
                long spokenRow = ((long)h * spoken) + u, spokenOutput = outputs + (((spokenRow * 2 * valueHeadSize) + column + (4 * x)) * 4);
                Leave(2, x + column == 0, value != 0, restMax, restSum, alignedMax, alignedSum, boxedMax, boxedSum, rest, raised, stats + (spokenRow * SpokenStats.Bytes), spokenOutput, valueHeadSize, left);
            }
        }
        if (myRow + 3 < queryLength)
        {
            int u = TClasses.AreSplit ? index[3] : -1;
            if (u < 0)
            {
                Write<T>(3, value != 0, restMax, restSum, rest, sink, outputRow + (3 * outputTokenStride * T.Bytes), left);
            }
            else
            {
                long spokenRow = ((long)h * spoken) + u, spokenOutput = outputs + (((spokenRow * 2 * valueHeadSize) + column + (4 * x)) * 4);
                Leave(3, x + column == 0, value != 0, restMax, restSum, alignedMax, alignedSum, boxedMax, boxedSum, rest, raised, stats + (spokenRow * SpokenStats.Bytes), spokenOutput, valueHeadSize, left);
            }
        }
    }

    /// <summary>What row i of mine sees, and who it is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prepare<TClasses>(
        int i, int myRow, int b, int queryLength, Visibility v, long spokenIndex, long run, long aligned, int tiles,
        int[] first, int[] last, int[] index, long[] alignedRow)
        where TClasses : struct, IRowClasses
    {
        int row = myRow + i;
        first[i] = Visibility.First(v, v.Offset + row);
        last[i] = row < queryLength ? Visibility.End(v, v.Offset + row) : 0;
        if (TClasses.AreSplit)
        {
            int u = -1;
            long bits = 0;
            if (row < queryLength)
            {
                u = GlobalMemory.LoadInt(spokenIndex + ((((long)b * queryLength) + row) * 4));
            }
            if (u >= 0)
            {
                bits = aligned + ((long)GlobalMemory.LoadInt(run + (u * 4L)) * tiles * 8);
            }
            index[i] = u;
            alignedRow[i] = bits;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int AlignedKeys(int i, long[] alignedRow, int tile, int x)
    {
        int bits = 0;
        if (alignedRow[i] != 0)
        {
            bits = ((int)(GlobalMemory.LoadLong(alignedRow[i] + (tile * 8L)) >> (4 * x)) & 15) << (4 * i);
        }
        return bits;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Fill(float[] values, float x)
    {
        values[0] = x;
        values[1] = x;
        values[2] = x;
        values[3] = x;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Clear16(float[] values)
    {
        Clear4(values, 0);
        Clear4(values, 4);
        Clear4(values, 8);
        Clear4(values, 12);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Clear32(float[] values)
    {
        Clear16(values);
        Clear4(values, 16);
        Clear4(values, 20);
        Clear4(values, 24);
        Clear4(values, 28);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Clear4(float[] values, int at)
    {
        values[at] = 0f;
        values[at + 1] = 0f;
        values[at + 2] = 0f;
        values[at + 3] = 0f;
    }
}
