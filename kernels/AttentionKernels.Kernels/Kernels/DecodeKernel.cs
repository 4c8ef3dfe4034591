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
internal static class DecodeKernel
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    /// <summary>Rows of a block.</summary>
    public const int Rows = 16;

    /// <summary>Keys that the warps of a block take at a time: what a chunk is a multiple of.</summary>
    public const int Keys = Warps * 16;

    private const int Warps = Threads / 32;

    /// <summary>Dynamic shared memory: a ring for each warp, and the query rows. What the warps put together lies in the rings' place.</summary>
    public static int SharedBytes<H>()
        where H : struct, IHead => (Warps * KeyRing<H>.Bytes) + (Rows * KeyRing<H>.Pitch);

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

        // Device values are not checked by anyone before.
        int keys = keyLengths == 0 ? keyLength : IntrinsicMath.Clamp(GlobalMemory.LoadInt(keyLengths + (b * 4L)), 0, keyLength);
        int offset = queryOffsets == 0 ? keyLength - queryLength : GlobalMemory.LoadInt(queryOffsets + (b * 4L));
        int reach = window == 0 ? int.MaxValue : IntrinsicMath.Min(window, 1 << 30);
        int lowest = FirstKey(offset, reach), highest = EndKey(offset + queryLength - 1, keys, causal); // what any row sees
        int innerFirst = FirstKey(offset + queryLength - 1, reach), innerEnd = EndKey(offset, keys, causal); // what all rows see
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
        int first0 = FirstKey(offset + token0, reach), end0 = upper < rows ? EndKey(offset + token0, keys, causal) : 0;
        int first1 = FirstKey(offset + token1, reach), end1 = upper + 8 < rows ? EndKey(offset + token1, keys, causal) : 0;
        long bias0 = bias + (((b * biasBatchStride) + (((kvHead * group) + ((firstRow + upper) / queryLength)) * biasHeadStride) + (token0 * biasTokenStride)) * 2);
        long bias1 = bias + (((b * biasBatchStride) + (((kvHead * group) + ((firstRow + upper + 8) / queryLength)) * biasHeadStride) + (token1 * biasTokenStride)) * 2);
        bool isPlain = softcap == 0 && bias == 0;
        float log2 = isPlain ? scale * Arithmetic.Log2E : Arithmetic.Log2E;

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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int FirstKey(int position, int reach) => reach == int.MaxValue ? 0 : IntrinsicMath.Max(0, position - reach + 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int EndKey(int position, int keys, int causal) => causal != 0 ? IntrinsicMath.Min(keys, position + 1) : keys;

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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LoadQuery<H>(Int4[] q, int address)
        where H : struct, IHead
    {
        q[0] = Mma.Load(address);
        q[1] = Mma.Load(address + 32);
        q[2] = Mma.Load(address + 64);
        q[3] = Mma.Load(address + 96);
        if (H.Size > 64)
        {
            q[4] = Mma.Load(address + 128);
        }
        if (H.Size > 80)
        {
            q[5] = Mma.Load(address + 160);
        }
        if (H.Size > 96)
        {
            q[6] = Mma.Load(address + 192);
            q[7] = Mma.Load(address + 224);
        }
    }

    /// <summary>(s0, s1) = q k^T for 16 keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MultiplyKeys<T, H>(ref Fragment s0, ref Fragment s1, Int4[] q, int address)
        where T : struct, IElement
        where H : struct, IHead
    {
        KeyStep<T>(ref s0, ref s1, q[0], address);
        KeyStep<T>(ref s0, ref s1, q[1], address + 32);
        KeyStep<T>(ref s0, ref s1, q[2], address + 64);
        KeyStep<T>(ref s0, ref s1, q[3], address + 96);
        if (H.Size > 64)
        {
            KeyStep<T>(ref s0, ref s1, q[4], address + 128);
        }
        if (H.Size > 80)
        {
            KeyStep<T>(ref s0, ref s1, q[5], address + 160);
        }
        if (H.Size > 96)
        {
            KeyStep<T>(ref s0, ref s1, q[6], address + 192);
            KeyStep<T>(ref s0, ref s1, q[7], address + 224);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void KeyStep<T>(ref Fragment s0, ref Fragment s1, Int4 q, int address)
        where T : struct, IElement
    {
        Int4 k = Mma.Load(address);
        Mma.Add<T>(ref s0, q, k.X, k.Y);
        Mma.Add<T>(ref s1, q, k.Z, k.W);
    }

    /// <summary>o += p v for 16 keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MultiplyValues<T, H>(Fragment[] o, Int4 p, int address)
        where T : struct, IElement
        where H : struct, IHead
    {
        ValueStep<T>(o, 0, p, address);
        ValueStep<T>(o, 1, p, address);
        ValueStep<T>(o, 2, p, address);
        ValueStep<T>(o, 3, p, address);
        if (H.Size > 64)
        {
            ValueStep<T>(o, 4, p, address);
        }
        if (H.Size > 80)
        {
            ValueStep<T>(o, 5, p, address);
        }
        if (H.Size > 96)
        {
            ValueStep<T>(o, 6, p, address);
            ValueStep<T>(o, 7, p, address);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ValueStep<T>(Fragment[] o, int step, Int4 p, int address)
        where T : struct, IElement
    {
        Int4 v = Mma.LoadTransposed(address + (step * 32));
        Mma.Add<T>(ref o[2 * step], p, v.X, v.Y);
        Mma.Add<T>(ref o[(2 * step) + 1], p, v.Z, v.W);
    }

    /// <summary>Scale, soft-cap, bias of two keys of two rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Fragment Logits<T>(
        Fragment s, int key, float scale, float softcap, bool hasBias, long bias0, int first0, int end0, long bias1, int first1, int end1)
        where T : struct, IElement => new()
        {
            X = Logit<T>(s.X, key, scale, softcap, hasBias, bias0, first0, end0),
            Y = Logit<T>(s.Y, key + 1, scale, softcap, hasBias, bias0, first0, end0),
            Z = Logit<T>(s.Z, key, scale, softcap, hasBias, bias1, first1, end1),
            W = Logit<T>(s.W, key + 1, scale, softcap, hasBias, bias1, first1, end1),
        };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Logit<T>(float product, int key, float scale, float softcap, bool hasBias, long bias, int first, int end)
        where T : struct, IElement
    {
        float s = product * scale;
        if (softcap > 0)
        {
            s = softcap * Arithmetic.Tanh(s / softcap);
        }
        if (hasBias && key >= first && key < end)
        {
            float added = GlobalMemory.LoadElement<T>(bias + (key * 2L));
            s = added == float.NegativeInfinity ? added : s + added;
        }
        return s;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Fragment Mask(Fragment s, int key, int first0, int end0, int first1, int end1) => new()
    {
        X = key >= first0 & key < end0 ? s.X : float.NegativeInfinity,
        Y = key + 1 >= first0 & key + 1 < end0 ? s.Y : float.NegativeInfinity,
        Z = key >= first1 & key < end1 ? s.Z : float.NegativeInfinity,
        W = key + 1 >= first1 & key + 1 < end1 ? s.W : float.NegativeInfinity,
    };

    /// <summary>What exponents are relative to: the maximum, or 0 where there is none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Base(float max) => max == float.NegativeInfinity ? 0f : max;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Fragment Exponentials(Fragment s, float log2, float base0, float base1) => new()
    {
        X = Arithmetic.Exp2(Arithmetic.Fma(s.X, log2, -base0)),
        Y = Arithmetic.Exp2(Arithmetic.Fma(s.Y, log2, -base0)),
        Z = Arithmetic.Exp2(Arithmetic.Fma(s.Z, log2, -base1)),
        W = Arithmetic.Exp2(Arithmetic.Fma(s.W, log2, -base1)),
    };

    /// <summary>Puts the warps' results together and writes the block's partials.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Merge<H>(
        int shared, int thread, int rows, int splits, float max0, float max1, float sum0, float sum1, Fragment[] o, long stats, long outputs)
        where H : struct, IHead
    {
        // In shared memory: [4 warps, 16 rows] maximum and sum, then [4 warps, 16 rows] outputs, 8 floats more each than there are so that no two lanes meet in a bank.
        int lane = thread & 31, warp = thread >> 5, row = lane >> 2, pitch = (H.Size + 8) * 4, parts = shared + (Warps * Rows * 8);
        if ((lane & 3) == 0)
        {
            BlockMemory.Store(shared + (((warp * Rows) + row) * 8), max0);
            BlockMemory.Store(shared + (((warp * Rows) + row) * 8) + 4, sum0);
            BlockMemory.Store(shared + (((warp * Rows) + row + 8) * 8), max1);
            BlockMemory.Store(shared + (((warp * Rows) + row + 8) * 8) + 4, sum1);
        }
        Group.Barrier();
        Scale<H>(o, Arithmetic.Exp2(max0 - Base(RowMax(shared, row))), Arithmetic.Exp2(max1 - Base(RowMax(shared, row + 8))));
        StoreFragments<H>(o, parts + (((warp * Rows) + row) * pitch) + ((lane & 3) * 8), 8 * pitch);
        Group.Barrier();

        if (thread < rows)
        {
            float max = RowMax(shared, thread), sum = 0f;
            for (int w = 0; w < Warps; w++)
            {
                int part = shared + (((w * Rows) + thread) * 8);
                sum = Arithmetic.Fma(BlockMemory.LoadFloat(part + 4), Arithmetic.Exp2(BlockMemory.LoadFloat(part) - Base(max)), sum);
            }
            GlobalMemory.StorePair(stats + ((long)thread * splits * 8), max, sum);
        }
        for (int c = thread; c < rows * (H.Size / 4); c += Threads)
        {
            int r = c / (H.Size / 4), d = c % (H.Size / 4) * 16;
            Float4 sum = Float4.LoadShared(parts + (r * pitch) + d);
            for (int w = 1; w < Warps; w++)
            {
                Float4 more = Float4.LoadShared(parts + (((w * Rows) + r) * pitch) + d);
                sum.X += more.X;
                sum.Y += more.Y;
                sum.Z += more.Z;
                sum.W += more.W;
            }
            sum.StoreGlobal(outputs + ((long)r * splits * H.Size * 4) + d);
        }
    }

    /// <summary>The largest of a row's four maxima.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float RowMax(int shared, int row)
    {
        int at = shared + (row * 8);
        return Arithmetic.Max(
            Arithmetic.Max(BlockMemory.LoadFloat(at), BlockMemory.LoadFloat(at + (Rows * 8))),
            Arithmetic.Max(BlockMemory.LoadFloat(at + (Rows * 16)), BlockMemory.LoadFloat(at + (Rows * 24))));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreFragments<H>(Fragment[] o, int target, int lower)
        where H : struct, IHead
    {
        StoreFour(o, 0, target, lower);
        StoreFour(o, 4, target, lower);
        if (H.Size > 64)
        {
            StoreTwo(o, 8, target, lower);
        }
        if (H.Size > 80)
        {
            StoreTwo(o, 10, target, lower);
        }
        if (H.Size > 96)
        {
            StoreFour(o, 12, target, lower);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreFour(Fragment[] o, int at, int target, int lower)
    {
        StoreTwo(o, at, target, lower);
        StoreTwo(o, at + 2, target, lower);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreTwo(Fragment[] o, int at, int target, int lower)
    {
        StoreOne(o[at], target + (at * 32), lower);
        StoreOne(o[at + 1], target + ((at + 1) * 32), lower);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreOne(Fragment o, int target, int lower)
    {
        BlockMemory.Store(target, o.X);
        BlockMemory.Store(target + 4, o.Y);
        BlockMemory.Store(target + lower, o.Z);
        BlockMemory.Store(target + lower + 4, o.W);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Scale<H>(Fragment[] o, float upper, float lower)
        where H : struct, IHead
    {
        ScaleFour(o, 0, upper, lower);
        ScaleFour(o, 4, upper, lower);
        if (H.Size > 64)
        {
            ScaleTwo(o, 8, upper, lower);
        }
        if (H.Size > 80)
        {
            ScaleTwo(o, 10, upper, lower);
        }
        if (H.Size > 96)
        {
            ScaleFour(o, 12, upper, lower);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ScaleFour(Fragment[] o, int at, float upper, float lower)
    {
        ScaleTwo(o, at, upper, lower);
        ScaleTwo(o, at + 2, upper, lower);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ScaleTwo(Fragment[] o, int at, float upper, float lower)
    {
        o[at] = ScaleOne(o[at], upper, lower);
        o[at + 1] = ScaleOne(o[at + 1], upper, lower);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Fragment ScaleOne(Fragment o, float upper, float lower) => new() { X = o.X * upper, Y = o.Y * upper, Z = o.Z * lower, W = o.W * lower };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Clear<H>(Fragment[] o)
        where H : struct, IHead
    {
        ClearFour(o, 0);
        ClearFour(o, 4);
        ClearFour(o, 8);
        ClearFour(o, 12);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ClearFour(Fragment[] o, int at)
    {
        o[at] = default;
        o[at + 1] = default;
        o[at + 2] = default;
        o[at + 3] = default;
    }
}
