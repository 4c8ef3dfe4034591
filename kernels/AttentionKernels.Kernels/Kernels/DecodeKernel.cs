using System.Runtime.CompilerServices;
using AttentionKernels.Kernels.Device;
using ILGPU;

namespace AttentionKernels.Kernels;

/// <summary>Attention of few query rows, its keys split over blocks; <see cref="DecodeCombineKernel"/> puts the parts together.</summary>
/// <remarks>
/// Grid = (splits, KvHeads * ceil(H / KvHeads * S / 16), B). A block streams chunkKeys keys and values once for 16 rows: row r is token r % S of query head r / S among those
/// that share the key head, and rows that do not exist are 0. Its four warps take 16 keys in turn, each through a ring of its own, and put their results together at the end, in
/// their order.
/// <code>
/// in   query [B, H, S, D], key, value [B, KvHeads, T, D] of T by strides; rows 16-byte aligned
///      bias         [B, H, S, T] of T by strides; 0: none
///      keyLengths, queryOffsets [B] int32; 0: keyLength, keyLength - queryLength
///      chunkKeys    keys of a split, a multiple of 64; splits * chunkKeys covers keyLength
/// out  partialStats   [B, H, S, splits, 2] float32  maximum (logit times log2(e)) and sum of exponentials; -inf and 0 where a split sees no key
///      partialOutputs [B, H, S, splits, D] float32  not normalised; not written where a split is beyond the keys that any row sees
/// </code>
/// Values of keys that no row of the block sees may hold anything. Where rows see different keys (S > 1 and a causal mask, or -inf in the bias), a NaN in a value reaches all of them.
/// </remarks>
internal static partial class DecodeKernel
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    /// <summary>Rows of a block.</summary>
    public const int Rows = 16;

    /// <summary>Keys that the warps of a block take at a time: what a chunk is a multiple of.</summary>
    public const int Keys = Warps * 16;

    private const int Warps = Threads / 32;

    /// <summary>Dynamic shared memory: a ring for each warp, and the query rows. What the warps put together lies in the rings' place.</summary>
    public static int SharedBytes(int headSize) => headSize switch
    {
        64 => SharedBytes<Head64>(),
        80 => SharedBytes<Head80>(),
        96 => SharedBytes<Head96>(),
        _ => SharedBytes<Head128>(),
    };

    public static void Run<T, H>(
        long query, long queryBatchStride, long queryHeadStride, long queryTokenStride,
        long key, long keyBatchStride, long keyHeadStride, long keyTokenStride,
        long value, long valueBatchStride, long valueHeadStride, long valueTokenStride,
        long bias, long biasBatchStride, long biasHeadStride, long biasTokenStride,
        long keyLengths, long queryOffsets, long partialStats, long partialOutputs,
        int heads, int kvHeads, int queryLength, int keyLength, int splits, int chunkKeys,
        float scale, float softcap, int causal, int window)
        where T : struct, IElement
        where H : struct, IHead
    {
        int shared = BlockMemory.Start(), thread = Group.IdxX, lane = thread & 31, warp = thread >> 5;
        int split = Grid.IdxX, kvHead = Grid.IdxY % kvHeads, firstRow = Grid.IdxY / kvHeads * Rows, b = Grid.IdxZ;
        int group = heads / kvHeads, rows = IntrinsicMath.Min(Rows, (group * queryLength) - firstRow);

        Visibility v = Visibility.Of(b, keyLengths, queryOffsets, queryLength, keyLength, causal, window);
        int lowest = Visibility.First(v, v.Offset), highest = Visibility.End(v, v.Offset + queryLength - 1); // what any row sees
        int innerFirst = Visibility.First(v, v.Offset + queryLength - 1), innerEnd = Visibility.End(v, v.Offset); // what all rows see
        int begin = IntrinsicMath.Max(split * chunkKeys, lowest & ~(KeyRing<H>.Keys - 1)), end = IntrinsicMath.Min((split * chunkKeys) + chunkKeys, highest);

        // Rows of partials: (b, first head of the group, token 0) of split 0, plus row * splits; heads and tokens follow each other as rows do.
        long partial = (((((long)b * heads) + (kvHead * group)) * queryLength) + firstRow) * splits + split;
        if (begin >= end)
        {
            if (thread < rows)
            {
                GlobalMemory.StorePair(partialStats + ((partial + ((long)thread * splits)) * 8), float.NegativeInfinity, 0f);
            }
            return;
        }

        // The first keys and values are on their way before the query is.
        int tiles = (end - begin + KeyRing<H>.Keys - 1) / KeyRing<H>.Keys, mine = (tiles - warp + Warps - 1) / Warps;
        int ring = shared + (warp * KeyRing<H>.Bytes), ringEnd = ring + KeyRing<H>.Bytes, slot = ring, next = begin + (warp * KeyRing<H>.Keys);
        long keyStride = keyTokenStride * 2, valueStride = valueTokenStride * 2;
        long keyHead = key + (((b * keyBatchStride) + (kvHead * keyHeadStride)) * 2), valueHead = value + (((b * valueBatchStride) + (kvHead * valueHeadStride)) * 2);
        for (int n = 0; n < KeyRing<H>.Stages - 1; n++)
        {
            Fetch<H>(slot, keyHead, keyStride, valueHead, valueStride, next, lowest, end);
            slot += KeyRing<H>.StageBytes;
            next += Keys;
        }

        int queryRows = shared + (Warps * KeyRing<H>.Bytes);
        for (int c = thread; c < 2 * H.Size; c += Threads)
        {
            int r = c / (H.Size / 8), chunk = c % (H.Size / 8) * 16, row = firstRow + r;
            Int4 elements = default;
            if (r < rows)
            {
                elements = GlobalMemory.LoadVector(query + (((b * queryBatchStride) + (((kvHead * group) + (row / queryLength)) * queryHeadStride) + (row % queryLength * queryTokenStride)) * 2) + chunk);
            }
            BlockMemory.StoreVector(queryRows + (r * KeyRing<H>.Pitch) + chunk, elements);
        }
        Group.Barrier();
        Int4[] q = new Int4[8];
        LoadQuery<H>(q, queryRows + ((lane & 15) * KeyRing<H>.Pitch) + ((lane >> 4) * 16));

        // My two rows, r and r + 8: what they see, and their bias.
        int upper = lane >> 2, token0 = (firstRow + upper) % queryLength, token1 = (firstRow + upper + 8) % queryLength;
        int first0 = Visibility.First(v, v.Offset + token0), end0 = upper < rows ? Visibility.End(v, v.Offset + token0) : 0;
        int first1 = Visibility.First(v, v.Offset + token1), end1 = upper + 8 < rows ? Visibility.End(v, v.Offset + token1) : 0;
        long bias0 = bias + (((b * biasBatchStride) + (((kvHead * group) + ((firstRow + upper) / queryLength)) * biasHeadStride) + (token0 * biasTokenStride)) * 2);
        long bias1 = bias + (((b * biasBatchStride) + (((kvHead * group) + ((firstRow + upper + 8) / queryLength)) * biasHeadStride) + (token1 * biasTokenStride)) * 2);
        bool isPlain = softcap == 0 & bias == 0 & scale > 0; // the maximum of the products is that of the logits
        float log2 = isPlain ? scale * Arithmetic.Log2E : 1f;

        float max0 = float.NegativeInfinity, max1 = float.NegativeInfinity, sum0 = 0f, sum1 = 0f;
        Fragment[] o = new Fragment[16];
        Clear<H>(o);
        int current = ring, keyAt = ((lane & 7) + ((lane >> 4) * 8)) * KeyRing<H>.Pitch + (((lane >> 3) & 1) * 16);
        int valueAt = ((KeyRing<H>.Keys + (lane & 15)) * KeyRing<H>.Pitch) + ((lane >> 4) * 16);
        int firstKey = begin + (warp * KeyRing<H>.Keys);
        for (int n = 0; n < mine; n++)
        {
            // After the wait all lanes are done with the stage before this one: it is the one to fill.
            KeyRing<H>.Wait();
            Fetch<H>(slot, keyHead, keyStride, valueHead, valueStride, next, lowest, end);
            slot += KeyRing<H>.StageBytes;
            slot = slot == ringEnd ? ring : slot;
            next += Keys;

            Fragment s0 = default, s1 = default;
            MultiplyKeys<T, H>(ref s0, ref s1, q, current + keyAt);
            int myKey = firstKey + ((lane & 3) * 2);
            if (!isPlain)
            {
                s0 = Logits<T>(s0, myKey, scale, softcap, bias != 0, bias0, first0, end0, bias1, first1, end1);
                s1 = Logits<T>(s1, myKey + 8, scale, softcap, bias != 0, bias0, first0, end0, bias1, first1, end1);
            }
            if (firstKey < innerFirst || firstKey + KeyRing<H>.Keys > innerEnd || firstKey + KeyRing<H>.Keys > end)
            {
                s0 = Mask(s0, myKey, first0, IntrinsicMath.Min(end, end0), first1, IntrinsicMath.Min(end, end1));
                s1 = Mask(s1, myKey + 8, first0, IntrinsicMath.Min(end, end0), first1, IntrinsicMath.Min(end, end1));
            }

            float before0 = max0, before1 = max1;
            max0 = Arithmetic.Max(max0, Lanes.QuadMax(Arithmetic.Max(Arithmetic.Max(s0.X, s0.Y), Arithmetic.Max(s1.X, s1.Y))) * log2);
            max1 = Arithmetic.Max(max1, Lanes.QuadMax(Arithmetic.Max(Arithmetic.Max(s0.Z, s0.W), Arithmetic.Max(s1.Z, s1.W))) * log2);
            float base0 = Base(max0), base1 = Base(max1), factor0 = Arithmetic.Exp2(before0 - base0), factor1 = Arithmetic.Exp2(before1 - base1);
            Scale<H>(o, factor0, factor1);
            s0 = Exponentials(s0, log2, base0, base1);
            s1 = Exponentials(s1, log2, base0, base1);
            sum0 = Arithmetic.Fma(sum0, factor0, s0.X + s0.Y + (s1.X + s1.Y));
            sum1 = Arithmetic.Fma(sum1, factor1, s0.Z + s0.W + (s1.Z + s1.W));
            Int4 p = new()
            {
                X = Arithmetic.Pack<T>(s0.X, s0.Y),
                Y = Arithmetic.Pack<T>(s0.Z, s0.W),
                Z = Arithmetic.Pack<T>(s1.X, s1.Y),
                W = Arithmetic.Pack<T>(s1.Z, s1.W),
            };
            MultiplyValues<T, H>(o, p, current + valueAt);
            firstKey += Keys;
            current += KeyRing<H>.StageBytes;
            current = current == ringEnd ? ring : current;
        }
        AsyncCopy.WaitAll();
        Group.Barrier();
        Merge<H>(shared, thread, rows, splits, max0, max1, Lanes.QuadSum(sum0), Lanes.QuadSum(sum1), o, partialStats + (partial * 8), partialOutputs + (partial * H.Size * 4));
    }

    private static int SharedBytes<H>()
        where H : struct, IHead => (Warps * KeyRing<H>.Bytes) + (Rows * KeyRing<H>.Pitch);

    /// <summary>Starts to copy a stage, or none behind the last one: each call is a group of copies.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Fetch<H>(int slot, long keyHead, long keyStride, long valueHead, long valueStride, int first, int lowest, int end)
        where H : struct, IHead
    {
        if (first < end)
        {
            KeyRing<H>.Copy(slot, keyHead + (first * keyStride), keyStride, lowest - first, end - first);
            KeyRing<H>.Copy(slot + (KeyRing<H>.Keys * KeyRing<H>.Pitch), valueHead + (first * valueStride), valueStride, lowest - first, end - first);
        }
        AsyncCopy.Commit();
    }
}
