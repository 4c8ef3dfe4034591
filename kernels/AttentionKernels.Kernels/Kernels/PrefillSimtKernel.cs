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
internal static class PrefillSimtKernel
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
        int entry = blocks == 0 ? Grid.IdxX : GlobalMemory.LoadInt(blocks + (Grid.IdxX * 4L));
        int b = entry / rowBlocks, h = Grid.IdxY, kvHead = h / (heads / kvHeads);
        int firstRow = entry % rowBlocks * Rows, myRow = firstRow + (4 * y);
        int column = Grid.IdxZ * Columns;

        // Device values are not checked by anyone before.
        int keys = keyLengths == 0 ? keyLength : IntrinsicMath.Clamp(GlobalMemory.LoadInt(keyLengths + (b * 4L)), 0, keyLength);
        int offset = queryOffsets == 0 ? keyLength - queryLength : GlobalMemory.LoadInt(queryOffsets + (b * 4L));
        int reach = window == 0 ? int.MaxValue : IntrinsicMath.Min(window, 1 << 30);
        int lastRow = IntrinsicMath.Min(firstRow + Rows, queryLength) - 1;
        int begin = FirstKey(offset + firstRow, reach), end = EndKey(offset + lastRow, keys, causal);

        int[] first = new int[4], last = new int[4], index = new int[4];
        long[] alignedRow = new long[4];
        Prepare<TClasses>(0, myRow, b, queryLength, keys, offset, causal, reach, spokenIndex, run, aligned, tiles, first, last, index, alignedRow);
        Prepare<TClasses>(1, myRow, b, queryLength, keys, offset, causal, reach, spokenIndex, run, aligned, tiles, first, last, index, alignedRow);
        Prepare<TClasses>(2, myRow, b, queryLength, keys, offset, causal, reach, spokenIndex, run, aligned, tiles, first, last, index, alignedRow);
        Prepare<TClasses>(3, myRow, b, queryLength, keys, offset, causal, reach, spokenIndex, run, aligned, tiles, first, last, index, alignedRow);

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
                Softmax(s, 0, restMax, restSum, rest);
                Softmax(s, 1, restMax, restSum, rest);
                Softmax(s, 2, restMax, restSum, rest);
                Softmax(s, 3, restMax, restSum, rest);
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
                    float v = 0f;
                    if (token < keys && c < columns)
                    {
                        v = GlobalMemory.LoadElement<T>(valueHead + (((token * valueTokenStride) + c) * T.Bytes));
                    }
                    odd |= IntrinsicMath.Abs(v) < float.PositiveInfinity ? 0 : 1;
                    BlockMemory.Store(shared + (((n * Columns) + c) * 4), v);
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
        float sink = headSink == 0 ? float.NegativeInfinity : GlobalMemory.LoadFloat(headSink + (h * 4L)) * Arithmetic.Log2E;
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int FirstKey(int position, int reach) => reach == int.MaxValue ? 0 : IntrinsicMath.Max(0, position - reach + 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int EndKey(int position, int keys, int causal) => causal != 0 ? IntrinsicMath.Min(keys, position + 1) : keys;

    /// <summary>What row i of mine sees, and who it is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prepare<TClasses>(
        int i, int myRow, int b, int queryLength, int keys, int offset, int causal, int reach, long spokenIndex, long run, long aligned, int tiles,
        int[] first, int[] last, int[] index, long[] alignedRow)
        where TClasses : struct, IRowClasses
    {
        int row = myRow + i;
        first[i] = FirstKey(offset + row, reach);
        last[i] = row < queryLength ? EndKey(offset + row, keys, causal) : 0;
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

    /// <summary>Four elements, eight apart, of a token into columns of the transposed operand; 0 outside the tensor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LoadOperand<T>(long head, long tokenStride, int token, int tokens, int left, int target)
        where T : struct, IElement
    {
        long address = head + (token * tokenStride * T.Bytes);
        left = token < tokens ? left : 0;
        float e0 = 0f, e1 = 0f, e2 = 0f, e3 = 0f;
        if (left > 0)
        {
            e0 = GlobalMemory.LoadElement<T>(address);
        }
        if (left > 8)
        {
            e1 = GlobalMemory.LoadElement<T>(address + (8 * T.Bytes));
        }
        if (left > 16)
        {
            e2 = GlobalMemory.LoadElement<T>(address + (16 * T.Bytes));
        }
        if (left > 24)
        {
            e3 = GlobalMemory.LoadElement<T>(address + (24 * T.Bytes));
        }
        BlockMemory.Store(target, e0);
        BlockMemory.Store(target + (8 * Pitch), e1);
        BlockMemory.Store(target + (16 * Pitch), e2);
        BlockMemory.Store(target + (24 * Pitch), e3);
    }

    /// <summary>s[row, key] += q[row] * k[key] for one element of the head.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MultiplyKeys(float[] s, int queryAt, int keyAt)
    {
        Float4 q = Float4.LoadShared(queryAt), k = Float4.LoadShared(keyAt);
        AddFour(s, 0, q.X, k);
        AddFour(s, 4, q.Y, k);
        AddFour(s, 8, q.Z, k);
        AddFour(s, 12, q.W, k);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddFour(float[] sums, int at, float factor, Float4 terms)
    {
        sums[at] = Arithmetic.Fma(factor, terms.X, sums[at]);
        sums[at + 1] = Arithmetic.Fma(factor, terms.Y, sums[at + 1]);
        sums[at + 2] = Arithmetic.Fma(factor, terms.Z, sums[at + 2]);
        sums[at + 3] = Arithmetic.Fma(factor, terms.W, sums[at + 3]);
    }

    /// <summary>Row i: scale, soft-cap, bias, mask.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Logits<T>(float[] s, int i, float scale, float softcap, bool hasBias, long biasRow, int myKey, int[] first, int[] last)
        where T : struct, IElement
    {
        Logit<T>(s, (4 * i) + 0, scale, softcap, hasBias, biasRow, myKey, first[i], last[i]);
        Logit<T>(s, (4 * i) + 1, scale, softcap, hasBias, biasRow, myKey + 1, first[i], last[i]);
        Logit<T>(s, (4 * i) + 2, scale, softcap, hasBias, biasRow, myKey + 2, first[i], last[i]);
        Logit<T>(s, (4 * i) + 3, scale, softcap, hasBias, biasRow, myKey + 3, first[i], last[i]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Logit<T>(float[] s, int at, float scale, float softcap, bool hasBias, long biasRow, int key, int first, int last)
        where T : struct, IElement
    {
        float logit = s[at] * scale;
        if (softcap > 0)
        {
            logit = SoftCap.Apply(logit, softcap);
        }
        bool isSeen = key >= first & key < last;
        if (hasBias & isSeen)
        {
            float added = GlobalMemory.LoadElement<T>(biasRow + ((long)key * T.Bytes));
            logit = added == float.NegativeInfinity ? added : logit + added;
        }
        s[at] = isSeen ? logit : float.NegativeInfinity;
    }

    /// <summary>Exponentials of row i in the place of its logits; scales what was summed before to the new maximum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Softmax(float[] s, int i, float[] max, float[] sum, float[] outputs)
    {
        float largest = RowMax(Arithmetic.Max(Arithmetic.Max(s[4 * i], s[(4 * i) + 1]), Arithmetic.Max(s[(4 * i) + 2], s[(4 * i) + 3])));
        float reference = Raise(max, sum, i, largest, outputs);
        s[4 * i] = Weight(s[4 * i], reference);
        s[(4 * i) + 1] = Weight(s[(4 * i) + 1], reference);
        s[(4 * i) + 2] = Weight(s[(4 * i) + 2], reference);
        s[(4 * i) + 3] = Weight(s[(4 * i) + 3], reference);
        sum[i] += s[4 * i] + s[(4 * i) + 1] + (s[(4 * i) + 2] + s[(4 * i) + 3]);
    }

    /// <summary>As <see cref="Softmax"/>, aligned keys and the rest each with a maximum and a sum of their own. Bit n of the sets is key n of mine.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void SplitSoftmax(
        float[] s, int i, int aligned, int boxed, float[] restMax, float[] restSum, float[] alignedMax, float[] alignedSum, float[] boxedMax, float[] boxedSum,
        float[] rest, float[] raised)
    {
        float largest = Arithmetic.Max(
            Arithmetic.Max(Among(s[4 * i], ~aligned, 1), Among(s[(4 * i) + 1], ~aligned, 2)),
            Arithmetic.Max(Among(s[(4 * i) + 2], ~aligned, 4), Among(s[(4 * i) + 3], ~aligned, 8)));
        float largestAligned = Arithmetic.Max(
            Arithmetic.Max(Among(s[4 * i], aligned, 1), Among(s[(4 * i) + 1], aligned, 2)),
            Arithmetic.Max(Among(s[(4 * i) + 2], aligned, 4), Among(s[(4 * i) + 3], aligned, 8)));
        float largestBoxed = Arithmetic.Max(
            Arithmetic.Max(Among(s[4 * i], boxed, 1), Among(s[(4 * i) + 1], boxed, 2)),
            Arithmetic.Max(Among(s[(4 * i) + 2], boxed, 4), Among(s[(4 * i) + 3], boxed, 8)));
        boxedMax[i] = Arithmetic.Max(boxedMax[i], largestBoxed * Arithmetic.Log2E);
        float before = restMax[i];
        float reference = Raise(restMax, restSum, i, RowMax(largest), rest);
        boxedSum[i] *= Factor(before, restMax[i]);
        float alignedReference = Raise(alignedMax, alignedSum, i, RowMax(largestAligned), raised);
        SplitWeight(s, i, 0, aligned, boxed, reference, alignedReference, restSum, alignedSum, boxedSum);
        SplitWeight(s, i, 1, aligned, boxed, reference, alignedReference, restSum, alignedSum, boxedSum);
        SplitWeight(s, i, 2, aligned, boxed, reference, alignedReference, restSum, alignedSum, boxedSum);
        SplitWeight(s, i, 3, aligned, boxed, reference, alignedReference, restSum, alignedSum, boxedSum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void SplitWeight(
        float[] s, int i, int n, int aligned, int boxed, float reference, float alignedReference, float[] restSum, float[] alignedSum, float[] boxedSum)
    {
        bool isAligned = ((aligned >> n) & 1) != 0, isBoxed = ((boxed >> n) & 1) != 0;
        float weight = Weight(s[(4 * i) + n], isAligned ? alignedReference : reference);
        s[(4 * i) + n] = weight;
        restSum[i] += isAligned ? 0f : weight;
        alignedSum[i] += isAligned ? weight : 0f;
        boxedSum[i] += isBoxed & !isAligned ? weight : 0f;
    }

    /// <summary>s where the set has the bit, else -inf.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Among(float s, int set, int bit) => (set & bit) != 0 ? s : float.NegativeInfinity;

    /// <summary>The largest of the 16 threads of a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float RowMax(float s)
    {
        s = Lanes.QuadMax(s);
        s = Arithmetic.Max(s, Lanes.Xor(s, 4));
        return Arithmetic.Max(s, Lanes.Xor(s, 8));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float RowSum(float s)
    {
        s = Lanes.QuadSum(s);
        s += Lanes.Xor(s, 4);
        return s + Lanes.Xor(s, 8);
    }

    /// <summary>Takes a logit into the maximum of row i, scales sum and outputs to it, and returns what exponents are relative to: the maximum, or 0 where there is none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Raise(float[] max, float[] sum, int i, float logit, float[] outputs)
    {
        float before = max[i], now = Arithmetic.Max(before, logit * Arithmetic.Log2E), factor = Factor(before, now);
        max[i] = now;
        sum[i] *= factor;
        Scale(outputs, 8 * i, factor);
        Scale(outputs, (8 * i) + 4, factor);
        return now == float.NegativeInfinity ? 0f : now;
    }

    /// <summary>2^(before - now), 1 where both are -inf.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Factor(float before, float now) => now == float.NegativeInfinity ? 1f : Arithmetic.Exp2(before - now);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Scale(float[] values, int at, float factor)
    {
        values[at] *= factor;
        values[at + 1] *= factor;
        values[at + 2] *= factor;
        values[at + 3] *= factor;
    }

    /// <summary>e^logit relative to a maximum; the product is exact before the sum, so logits of thousands lose nothing. -0 for a key that the row does not see.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Weight(float logit, float reference) =>
        logit == float.NegativeInfinity ? Hidden : Arithmetic.Exp2(Arithmetic.Fma(logit, Arithmetic.Log2E, -reference));

    private static float Hidden
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Interop.IntAsFloat(0x80000000u);
    }

    /// <summary>The weights of my rows and keys, transposed: [key][row]. Bit 4i + n of the set: those of row i and key n; the others are as of keys that are not seen.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreWeights(float[] s, int set, int weights, int x, int y)
    {
        int target = weights + (4 * x * Pitch) + (16 * y);
        StoreKey(s, 0, set, target);
        StoreKey(s, 1, set, target + Pitch);
        StoreKey(s, 2, set, target + (2 * Pitch));
        StoreKey(s, 3, set, target + (3 * Pitch));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreKey(float[] s, int n, int set, int target) => new Float4
    {
        X = (set & (1 << n)) != 0 ? s[n] : Hidden,
        Y = (set & (16 << n)) != 0 ? s[4 + n] : Hidden,
        Z = (set & (256 << n)) != 0 ? s[8 + n] : Hidden,
        W = (set & (4096 << n)) != 0 ? s[12 + n] : Hidden,
    }.StoreShared(target);

    /// <summary>outputs[row, column] += weight[row] * v[column] for one key.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MultiplyValues(float[] outputs, int weightsAt, int valuesAt)
    {
        Float4 w = Float4.LoadShared(weightsAt), v = Float4.LoadShared(valuesAt), u = Float4.LoadShared(valuesAt + 256);
        AddFour(outputs, 0, w.X, v);
        AddFour(outputs, 4, w.X, u);
        AddFour(outputs, 8, w.Y, v);
        AddFour(outputs, 12, w.Y, u);
        AddFour(outputs, 16, w.Z, v);
        AddFour(outputs, 20, w.Z, u);
        AddFour(outputs, 24, w.W, v);
        AddFour(outputs, 28, w.W, u);
    }

    /// <summary>As <see cref="MultiplyValues"/>, for values of which some are NaN or infinite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MultiplySeenValues(float[] outputs, int weightsAt, int valuesAt)
    {
        Float4 w = Float4.LoadShared(weightsAt), v = Float4.LoadShared(valuesAt), u = Float4.LoadShared(valuesAt + 256);
        AddSeen(outputs, 0, w.X, v, u);
        AddSeen(outputs, 8, w.Y, v, u);
        AddSeen(outputs, 16, w.Z, v, u);
        AddSeen(outputs, 24, w.W, v, u);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddSeen(float[] outputs, int at, float weight, Float4 v, Float4 u)
    {
        if (Interop.FloatAsInt(weight) != 0x80000000u)
        {
            AddFour(outputs, at, weight, v);
            AddFour(outputs, at + 4, weight, u);
        }
    }

    /// <summary>Adds up what the 16 threads of row i have.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Reduce<TClasses>(int i, float[] restSum, float[] alignedSum, float[] boxedMax, float[] boxedSum)
        where TClasses : struct, IRowClasses
    {
        restSum[i] = RowSum(restSum[i]);
        if (TClasses.AreSplit)
        {
            alignedSum[i] = RowSum(alignedSum[i]);
            boxedMax[i] = RowMax(boxedMax[i]);
            boxedSum[i] = RowSum(boxedSum[i]);
        }
    }

    /// <summary>Finishes row i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<T>(int i, bool isWanted, float[] max, float[] sum, float[] outputs, float sink, long target, int columns)
        where T : struct, IElement
    {
        float largest = Arithmetic.Max(max[i], sink);
        float scale = sum[i] == 0 ? 0f : Arithmetic.Exp2(max[i] - largest);
        float total = sum[i] * scale;
        total += sink == float.NegativeInfinity ? 0f : Arithmetic.Exp2(sink - largest);
        scale = sum[i] == 0 ? 0f : scale * Arithmetic.Reciprocal(total);
        if (isWanted)
        {
            Scale(outputs, 8 * i, scale);
            Scale(outputs, (8 * i) + 4, scale);
            StoreColumns<T>(outputs, 8 * i, target, columns);
            StoreColumns<T>(outputs, (8 * i) + 4, target + (64 * T.Bytes), columns - 64);
        }
    }

    /// <summary>Leaves row i, which is in U, to the gate and the epilogue.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Leave(
        int i, bool isFirst, bool isWanted, float[] restMax, float[] restSum, float[] alignedMax, float[] alignedSum, float[] boxedMax, float[] boxedSum,
        float[] rest, float[] raised, long stats, long target, int valueHeadSize, int columns)
    {
        if (isFirst)
        {
            new SpokenStats
            {
                MaxAligned = alignedMax[i],
                SumAligned = alignedSum[i],
                MaxRest = restMax[i],
                SumRest = restSum[i],
                SumBoxed = boxedSum[i],
                MaxBoxed = boxedMax[i],
            }.Store(stats);
        }
        if (isWanted)
        {
            StoreColumns<Float32>(raised, 8 * i, target, columns);
            StoreColumns<Float32>(raised, (8 * i) + 4, target + 256, columns - 64);
            StoreColumns<Float32>(rest, 8 * i, target + (valueHeadSize * 4L), columns);
            StoreColumns<Float32>(rest, (8 * i) + 4, target + (valueHeadSize * 4L) + 256, columns - 64);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreColumns<T>(float[] values, int at, long target, int columns)
        where T : struct, IElement
    {
        if (columns > 0)
        {
            GlobalMemory.StoreElement<T>(target, values[at]);
        }
        if (columns > 1)
        {
            GlobalMemory.StoreElement<T>(target + T.Bytes, values[at + 1]);
        }
        if (columns > 2)
        {
            GlobalMemory.StoreElement<T>(target + (2 * T.Bytes), values[at + 2]);
        }
        if (columns > 3)
        {
            GlobalMemory.StoreElement<T>(target + (3 * T.Bytes), values[at + 3]);
        }
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
