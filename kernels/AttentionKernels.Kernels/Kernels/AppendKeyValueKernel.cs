using System.Runtime.CompilerServices;
using AttentionKernels.Kernels.Device;
using ILGPU;

namespace AttentionKernels.Kernels;

/// <summary>
/// Brings what a call was given into the form that attention reads: rotates query and keys or adds projection biases, writes keys and values behind the past ones, makes lengths, widens head sinks.
/// </summary>
/// <remarks>
/// Grid = (ceil(rows / 4), H + 2 KvHeads, B), rows = the larger of S and the rows to write for a key head; a warp for each row. The second axis is query heads, then heads of keys, then
/// heads of values.
/// <para>
/// Element b has n = keyLengths[b] + lengthAdd valid keys, within newKeys..keyLength. Its new keys end at n, or start at 0 if there are no others (newKeys = keyLength). Its rows end at n, too, or
/// start at 0 if there are as many as keys. All this as com.microsoft::GroupQueryAttention has it, whose seqlens_k is n - 1: lengthAdd is 1 then.
/// </para>
/// <code>
/// in   query [B, H, S, D], key [B, KvHeads, newKeys, D], value [B, KvHeads, newKeys, Dv] of T by strides
///      pastKey, pastValue  [B, KvHeads, pastLength, D or Dv] of T; 0: none
///      cosCache, sinCache  [positions, rotaryPairs] of T; rotaryPairs 0: nothing is rotated
///      positionIds         [B, S] int64; 0: rows count on from their place among the keys. Positions outside the caches take their first or last row
///      queryBias, keyBias, valueBias [H or KvHeads, D or Dv] of T, added to every row, which is not rotated then; 0: none
///      narrowSink          [H] of T; 0: none
///      keyLengths          [B] int32; 0: keyLength for all
/// out  movedQuery   [B, H, S, D] of T, the query rotated or with its bias; 0: not wanted
///      presentKey, presentValue [B, KvHeads, presentLength, D or Dv] of T; 0: not wanted. The same memory as past: only the new rows are written. Else past rows are copied
///                               and rows behind the new ones cleared
///      validLengths, rowOffsets [B] int32, what attention takes as keyLengths and queryOffsets; 0: not wanted
///      wideSink     [H] float32, what attention takes as headSink
/// </code>
/// </remarks>
internal static class AppendKeyValueKernel
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    /// <summary>Rows of a block.</summary>
    public const int Rows = Threads / 32;

    public static void Run<T>(
        long query, long queryBatchStride, long queryHeadStride, long queryTokenStride,
        long key, long keyBatchStride, long keyHeadStride, long keyTokenStride,
        long value, long valueBatchStride, long valueHeadStride, long valueTokenStride,
        long pastKey, long pastValue, long presentKey, long presentValue, long movedQuery,
        long cosCache, long sinCache, long positionIds, long queryBias, long keyBias, long valueBias, long narrowSink, long wideSink, long keyLengths, long validLengths, long rowOffsets,
        int heads, int kvHeads, int queryLength, int keyLength, int newKeys, int pastLength, int presentLength, int headSize, int valueHeadSize,
        int rotaryPairs, int interleaved, int positions, int lengthAdd)
        where T : struct, IElement
    {
        int lane = Group.IdxX & 31, row = (Grid.IdxX * Rows) + (Group.IdxX >> 5), slot = Grid.IdxY, b = Grid.IdxZ;

        // Device values are not checked by anyone before.
        int valid = keyLength;
        if (keyLengths != 0)
        {
            valid = IntrinsicMath.Clamp(GlobalMemory.LoadInt(keyLengths + (b * 4L)) + lengthAdd, newKeys == keyLength ? 0 : newKeys, keyLength);
        }
        int first = newKeys == keyLength ? 0 : valid - newKeys, offset = queryLength == keyLength ? 0 : valid - queryLength;
        if (Grid.IdxX == 0 && slot == 0 && Group.IdxX == 0)
        {
            StoreWanted(validLengths, b, valid);
            StoreWanted(rowOffsets, b, offset);
        }
        if (narrowSink != 0 && Grid.IdxX == 0 && slot == 0 && b == 0)
        {
            for (int h = Group.IdxX; h < heads; h += Threads)
            {
                GlobalMemory.Store(wideSink + (h * 4L), GlobalMemory.LoadElement<T>(narrowSink + ((long)h * T.Bytes)));
            }
        }

        if (slot < heads)
        {
            if (movedQuery != 0 && row < queryLength)
            {
                long source = query + (((b * queryBatchStride) + (slot * queryHeadStride) + (row * queryTokenStride)) * T.Bytes);
                long target = movedQuery + ((((((long)b * heads) + slot) * queryLength) + row) * headSize * T.Bytes);
                long angles = (long)Position(positionIds, b, queryLength, row, offset, positions) * rotaryPairs * T.Bytes;
                Move<T>(source, target, headSize, BiasOf<T>(queryBias, slot, headSize), cosCache + angles, sinCache + angles, rotaryPairs, interleaved, lane);
            }
        }
        else if (slot < heads + kvHeads)
        {
            Append<T>(
                key, keyBatchStride, keyHeadStride, keyTokenStride, pastKey, presentKey, b, slot - heads, kvHeads, row, first, newKeys, pastLength, presentLength, headSize,
                keyBias, cosCache, sinCache, positionIds, queryLength, positions, rotaryPairs, interleaved, lane);
        }
        else
        {
            Append<T>(
                value, valueBatchStride, valueHeadStride, valueTokenStride, pastValue, presentValue, b, slot - heads - kvHeads, kvHeads, row, first, newKeys, pastLength, presentLength, valueHeadSize,
                valueBias, 0, 0, 0, queryLength, 0, 0, 0, lane);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreWanted(long target, int b, int x)
    {
        if (target != 0)
        {
            GlobalMemory.Store(target + (b * 4L), x);
        }
    }

    /// <summary>One row of present.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Append<T>(
        long added, long batchStride, long headStride, long tokenStride, long past, long present, int b, int head, int kvHeads, int row, int first, int newKeys, int pastLength, int presentLength, int size,
        long bias, long cosCache, long sinCache, long positionIds, int queryLength, int positions, int rotaryPairs, int interleaved, int lane)
        where T : struct, IElement
    {
        // With past and present in one buffer row n is the new row n; otherwise it is the row n of present.
        bool inPlace = past == present;
        int place = inPlace ? first + row : row, token = place - first;
        if (present == 0 || place >= presentLength || (inPlace & row >= newKeys))
        {
            return;
        }
        long matrix = ((long)b * kvHeads) + head, target = present + (((matrix * presentLength) + place) * size * T.Bytes);
        if (token >= 0 && token < newKeys)
        {
            long source = added + (((b * batchStride) + (head * headStride) + (token * tokenStride)) * T.Bytes);
            long angles = 0;
            if (rotaryPairs > 0)
            {
                angles = (long)Position(positionIds, b, queryLength, token, first, positions) * rotaryPairs * T.Bytes;
            }
            Move<T>(source, target, size, BiasOf<T>(bias, head, size), cosCache + angles, sinCache + angles, rotaryPairs, interleaved, lane);
        }
        else if (token < 0 && place < pastLength && past != 0)
        {
            Copy<T>(past + (((matrix * pastLength) + place) * size * T.Bytes), target, size, lane);
        }
        else
        {
            for (int d = lane; d < size; d += 32)
            {
                GlobalMemory.StoreElement<T>(target + ((long)d * T.Bytes), 0f);
            }
        }
    }

    /// <summary>Row of the caches for a token.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Position(long positionIds, int b, int rows, int token, int first, int positions)
    {
        long position = first + token;
        if (positionIds != 0)
        {
            position = GlobalMemory.LoadLong(positionIds + ((((long)b * rows) + token) * 8));
        }
        position = position < positions ? position : positions - 1;
        return position > 0 ? (int)position : 0;
    }

    /// <summary>Where the bias of a head begins; 0: there is none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static long BiasOf<T>(long bias, int head, int size)
        where T : struct, IElement => bias == 0 ? 0 : bias + ((long)head * size * T.Bytes);

    /// <summary>A row with its bias, rotated, or as it is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Move<T>(long source, long target, int size, long bias, long cos, long sin, int pairs, int interleaved, int lane)
        where T : struct, IElement
    {
        if (bias != 0)
        {
            for (int d = lane; d < size; d += 32)
            {
                GlobalMemory.StoreElement<T>(target + ((long)d * T.Bytes), GlobalMemory.LoadElement<T>(source + ((long)d * T.Bytes)) + GlobalMemory.LoadElement<T>(bias + ((long)d * T.Bytes)));
            }
        }
        else if (pairs > 0)
        {
            Rotate<T>(source, target, size, cos, sin, pairs, interleaved, lane);
        }
        else
        {
            Copy<T>(source, target, size, lane);
        }
    }

    /// <summary>A row as it is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Copy<T>(long source, long target, int size, int lane)
        where T : struct, IElement
    {
        long bytes = (long)size * T.Bytes;
        if (((source | target | bytes) & 15) == 0)
        {
            for (long at = lane * 16L; at < bytes; at += 512)
            {
                GlobalMemory.StoreVector(target + at, GlobalMemory.LoadVector(source + at));
            }
        }
        else
        {
            for (int d = lane; d < size; d += 32)
            {
                GlobalMemory.StoreElement<T>(target + ((long)d * T.Bytes), GlobalMemory.LoadElement<T>(source + ((long)d * T.Bytes)));
            }
        }
    }

    /// <summary>
    /// A row, its pairs of elements (x, y) turned to (x cos - y sin, y cos + x sin): (i, i + pairs), or (2i, 2i + 1) when interleaved; elements behind the pairs stay.
    /// Each lane makes single elements and reads both of their pair.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Rotate<T>(long source, long target, int size, long cos, long sin, int pairs, int interleaved, int lane)
        where T : struct, IElement
    {
        for (int d = lane; d < size; d += 32)
        {
            float e = GlobalMemory.LoadElement<T>(source + ((long)d * T.Bytes));
            if (d < 2 * pairs)
            {
                int second = interleaved != 0 ? d & 1 : d / pairs, distance = interleaved != 0 ? 1 : pairs; // 1: y, 0: x
                int pair = interleaved != 0 ? d >> 1 : d - (second * pairs);
                float other = GlobalMemory.LoadElement<T>(source + ((long)(d + distance - (2 * second * distance)) * T.Bytes));
                float c = GlobalMemory.LoadElement<T>(cos + ((long)pair * T.Bytes)), s = GlobalMemory.LoadElement<T>(sin + ((long)pair * T.Bytes));
                e = Arithmetic.Fma(e, c, second != 0 ? other * s : -(other * s));
            }
            GlobalMemory.StoreElement<T>(target + ((long)d * T.Bytes), e);
        }
    }
}
