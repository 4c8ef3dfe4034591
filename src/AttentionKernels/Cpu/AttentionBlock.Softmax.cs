using System.Numerics;
using System.Runtime.CompilerServices;

namespace AttentionKernels.Cpu;

/// <content>Online softmax over a tile, for one class and for two.</content>
internal static unsafe partial class AttentionBlock<V>
{
    /// <summary>
    /// Turns the logits of one group of lanes, from <paramref name="lane"/> on, into exponentials relative to the running maximum, -0 for keys that a row does not see.
    /// Updates maximum and sum, and leaves in <see cref="BlockMemory.Correction"/> what the earlier sums and outputs must be multiplied by.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Softmax(int lane, in BlockMemory memory)
    {
        int group = lane / LaneGroup;
        ulong seen = memory.Seen[group];
        if (seen == 0)
        {
            V.Store(V.Broadcast(1f), memory.Correction + lane);
            return;
        }
        float* tile = memory.Scores + lane, scores = tile + (BitOperations.TrailingZeroCount(seen) * Pitch), end = scores + (BitOperations.PopCount(seen) * Pitch);
        V old = V.Load(memory.Max + lane), max = Raise(old, Largest(scores, end));
        V shift = Shift(max), sum = V.Broadcast(0f);
        float* whole = tile + (memory.WholeFrom[group] * Pitch), wholeEnd = tile + (memory.WholeTo[group] * Pitch);
        if (whole < wholeEnd)
        {
            Exponentials(true, scores, whole, shift, ref sum);
            Exponentials(false, whole, wholeEnd, shift, ref sum);
            scores = wholeEnd;
        }
        Exponentials(true, scores, end, shift, ref sum);
        V correction = Correction(old, shift);
        V.Store(correction, memory.Correction + lane);
        V.Store(V.MultiplyAdd(V.Load(memory.Sum + lane), correction, sum), memory.Sum + lane);
        V.Store(max, memory.Max + lane);
    }

    /// <summary>Maximum of a column; four chains, because one would wait for each maximum in turn.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Largest(float* scores, float* end)
    {
        V a = V.Broadcast(float.NegativeInfinity), b = a, c = a, d = a;
        float* s = scores;
        for (; s + (3 * Pitch) < end; s += 4 * Pitch)
        {
            a = V.Max(a, V.Load(s));
            b = V.Max(b, V.Load(s + Pitch));
            c = V.Max(c, V.Load(s + (2 * Pitch)));
            d = V.Max(d, V.Load(s + (3 * Pitch)));
        }
        for (; s < end; s += Pitch)
        {
            a = V.Max(a, V.Load(s));
        }
        return V.Max(V.Max(a, b), V.Max(c, d));
    }

    /// <summary>
    /// The same for a tile with keys of V_all and a group of lanes with rows of U: aligned keys of a head that may be active move out and have their own maximum,
    /// sum and exponentials; of the others in V_all, maximum and sum are tracked. A weight and a penalty for each key instead of branches: runs of patches
    /// are so short that a mispredicted end of each costs as much as its exponentials.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SoftmaxClasses(AttentionCall* call, int b, int key, int lane, in BlockMemory memory)
    {
        int group = lane / LaneGroup;
        ulong seen = memory.Seen[group], alignedKeys = memory.Split ? memory.AlignedKeys[group] : 0;
        V.Store(V.Broadcast(1f), memory.AlignedCorrection + lane);
        if (seen == 0)
        {
            V.Store(V.Broadcast(1f), memory.Correction + lane);
            return;
        }
        int from = BitOperations.TrailingZeroCount(seen), count = BitOperations.PopCount(seen);
        bool hides = memory.WholeTo[group] - memory.WholeFrom[group] != count;
        long first = ((long)b * call->Plan.Tiles * BlockMemory.TileKeys) + key + from;
        float* weight = call->Plan.BoxedWeight + first, penalty = call->Plan.BoxedPenalty + first;
        V hidden = V.Broadcast(float.NegativeInfinity), unseen = V.Broadcast(-0f);
        float* tile = memory.Scores + lane, scores = tile + (from * Pitch), end = scores + (count * Pitch);
        if (alignedKeys != 0)
        {
            SoftmaxAligned(alignedKeys, hides, tile, lane, memory);
        }

        V a = hidden, c = hidden, boxedA = V.Load(memory.MaxBoxed + lane), boxedC = boxedA;
        float* s = scores;
        for (; s + Pitch < end; s += 2 * Pitch, penalty += 2)
        {
            V x = V.Load(s), y = V.Load(s + Pitch);
            a = V.Max(a, x);
            c = V.Max(c, y);
            boxedA = V.Max(boxedA, V.Add(x, V.Broadcast(penalty[0])));
            boxedC = V.Max(boxedC, V.Add(y, V.Broadcast(penalty[1])));
        }
        if (s < end)
        {
            V x = V.Load(s);
            a = V.Max(a, x);
            boxedA = V.Max(boxedA, V.Add(x, V.Broadcast(penalty[0])));
        }
        V old = V.Load(memory.Max + lane), max = Raise(old, V.Max(a, c)), shift = Shift(max), correction = Correction(old, shift);
        V sum = V.Broadcast(0f), sumBoxed = sum;
        if (hides)
        {
            for (s = scores; s < end; s += Pitch, weight++)
            {
                V p = MarkedExp(V.Load(s), shift);
                sum = V.Add(sum, p);
                V.AccumulateBroadcast(weight, p, ref sumBoxed);
                V.Store(p, s);
            }
        }
        else
        {
            for (s = scores; s < end; s += Pitch, weight++)
            {
                V p = VectorMath.Exp(V.Subtract(V.Load(s), shift));
                sum = V.Add(sum, p);
                V.AccumulateBroadcast(weight, p, ref sumBoxed);
                V.Store(p, s);
            }
        }
        V.Store(correction, memory.Correction + lane);
        V.Store(V.MultiplyAdd(V.Load(memory.Sum + lane), correction, sum), memory.Sum + lane);
        V.Store(V.MultiplyAdd(V.Load(memory.SumBoxed + lane), correction, sumBoxed), memory.SumBoxed + lane);
        V.Store(max, memory.Max + lane);
        V.Store(V.Max(boxedA, boxedC), memory.MaxBoxed + lane);

        // Marked like hidden keys, which Exponentials of a tile that hides nothing does not do.
        for (ulong set = hides ? 0 : alignedKeys; set != 0; set &= set - 1)
        {
            int n = BitOperations.TrailingZeroCount(set);
            float* at = tile + (n * Pitch);
            V.Store(((memory.WholeKeys[group] >> n) & 1) != 0 ? unseen : V.Select(V.Lanes(memory.Aligned[n] >> lane), unseen, V.Load(at)), at);
        }
    }

    /// <summary>Aligned logits move out of the tile, leave -inf behind, and become exponentials relative to their own maximum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SoftmaxAligned(ulong alignedKeys, bool hides, float* tile, int lane, in BlockMemory memory)
    {
        ulong whole = memory.WholeKeys[lane / LaneGroup];
        V hidden = V.Broadcast(float.NegativeInfinity), largest = hidden;
        float* aligned = memory.AlignedScores + lane;
        for (ulong set = alignedKeys; set != 0; set &= set - 1)
        {
            int n = BitOperations.TrailingZeroCount(set);
            V s = V.Load(tile + (n * Pitch)), rest = hidden;
            if (((whole >> n) & 1) == 0)
            {
                V isAligned = V.Lanes(memory.Aligned[n] >> lane);
                (s, rest) = (V.Select(isAligned, s, hidden), V.Select(isAligned, hidden, s));
            }
            largest = V.Max(largest, s);
            V.Store(s, aligned + (n * Pitch));
            V.Store(rest, tile + (n * Pitch));
        }
        V old = V.Load(memory.BaseAligned + lane), max = Raise(old, largest), shift = Shift(max), correction = Correction(old, shift), sum = V.Broadcast(0f);
        bool mark = hides || whole != alignedKeys;
        for (ulong set = alignedKeys; set != 0; set &= set - 1)
        {
            float* at = aligned + (BitOperations.TrailingZeroCount(set) * Pitch);
            V p = mark ? MarkedExp(V.Load(at), shift) : VectorMath.Exp(V.Subtract(V.Load(at), shift));
            sum = V.Add(sum, p);
            V.Store(p, at);
        }
        V.Store(correction, memory.AlignedCorrection + lane);
        V.Store(V.MultiplyAdd(V.Load(memory.SumAligned + lane), correction, sum), memory.SumAligned + lane);
        V.Store(max, memory.BaseAligned + lane);
        V.Store(V.Max(V.Load(memory.MaxAligned + lane), largest), memory.MaxAligned + lane);
    }

    /// <summary>Replaces a column of logits by exponentials and adds them up, in this order whatever else the tile holds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Exponentials(bool mark, float* s, float* end, V shift, ref V sum)
    {
        V total = sum;
        if (mark)
        {
            for (; s < end; s += Pitch)
            {
                V p = MarkedExp(V.Load(s), shift);
                total = V.Add(total, p);
                V.Store(p, s);
            }
        }
        else
        {
            for (; s < end; s += Pitch)
            {
                V p = VectorMath.Exp(V.Subtract(V.Load(s), shift));
                total = V.Add(total, p);
                V.Store(p, s);
            }
        }
        sum = total;
    }

    /// <summary>Largest logits of the tile's aligned and other keys of V_all, before <see cref="Softmax"/> overwrites them.</summary>
    private static void TrackMaxima(ulong boxed, in BlockMemory memory)
    {
        V hidden = V.Broadcast(float.NegativeInfinity);
        for (int lane = 0; lane < memory.Width; lane += V.Count)
        {
            ulong alignedKeys = memory.AlignedKeys[lane / LaneGroup];
            V maxAligned = V.Load(memory.MaxAligned + lane), maxBoxed = V.Load(memory.MaxBoxed + lane);
            for (ulong set = boxed & memory.Seen[lane / LaneGroup] & ~alignedKeys; set != 0; set &= set - 1)
            {
                maxBoxed = V.Max(maxBoxed, V.Load(memory.Scores + (BitOperations.TrailingZeroCount(set) * Pitch) + lane));
            }
            for (ulong set = alignedKeys; set != 0; set &= set - 1)
            {
                int n = BitOperations.TrailingZeroCount(set);
                V s = V.Load(memory.Scores + (n * Pitch) + lane), aligned = V.Lanes(memory.Aligned[n] >> lane);
                maxAligned = V.Max(maxAligned, V.Select(aligned, s, hidden));
                maxBoxed = V.Max(maxBoxed, V.Select(aligned, hidden, s));
            }
            V.Store(maxAligned, memory.MaxAligned + lane);
            V.Store(maxBoxed, memory.MaxBoxed + lane);
        }
    }

    /// <summary>After <see cref="Softmax"/> of a tile without keys of V_all, or of a head that cannot be active: corrects the sums over V_all, and adds this tile's.</summary>
    private static void AddClassSums(AttentionCall* call, int b, int key, int keys, ulong boxed, in BlockMemory memory)
    {
        V zero = V.Broadcast(0f);
        for (int lane = 0; lane < memory.Width; lane += V.Count)
        {
            ulong alignedKeys = memory.AlignedKeys[lane / LaneGroup];
            V correction = V.Load(memory.Correction + lane);
            V sumAligned = zero, sumBoxed = zero;
            for (ulong set = boxed & memory.Seen[lane / LaneGroup] & ~alignedKeys; set != 0; set &= set - 1)
            {
                sumBoxed = V.Add(sumBoxed, V.Load(memory.Scores + (BitOperations.TrailingZeroCount(set) * Pitch) + lane));
            }
            for (ulong set = alignedKeys; set != 0; set &= set - 1)
            {
                int n = BitOperations.TrailingZeroCount(set);
                V p = V.Load(memory.Scores + (n * Pitch) + lane), aligned = V.Lanes(memory.Aligned[n] >> lane);
                sumAligned = V.Add(sumAligned, V.Select(aligned, p, zero));
                sumBoxed = V.Add(sumBoxed, V.Select(aligned, zero, p));
            }
            V.Store(V.MultiplyAdd(V.Load(memory.SumBoxed + lane), correction, sumBoxed), memory.SumBoxed + lane);
            if (!memory.Split)
            {
                V.Store(V.MultiplyAdd(V.Load(memory.SumAligned + lane), correction, sumAligned), memory.SumAligned + lane);
            }
        }
        if (!memory.Split && call->Bias.SpeakerScores != null)
        {
            Rescale(memory.SpeakerSums, memory.Correction, call->Bias.SpeakerCount, memory.Width);
            AddSpeakerSums(call, b, key, keys, split: false, memory);
        }
    }

    /// <summary>Multiplies every row of a [rows, lane] matrix by the corrections; nothing to do once the maxima have settled.</summary>
    private static void Rescale(float* matrix, float* correction, int rows, int width)
    {
        V one = V.Broadcast(1f);
        for (int lane = 0; lane < width; lane += V.Count)
        {
            V factor = V.Load(correction + lane);
            if (V.All(V.Equals(factor, one)))
            {
                continue;
            }
            for (float* x = matrix + lane, end = x + (rows * Pitch); x < end; x += Pitch)
            {
                V.Store(V.Multiply(V.Load(x), factor), x);
            }
        }
    }

    /// <summary>
    /// The maximum that a row's exponentials are relative to: the old one until a tile exceeds it by more than 8. Exponentials up to e^8 cost no
    /// accuracy, and the sums and outputs so far need a new scale once or twice in a row instead of in every tile.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Raise(V old, V largest) => V.Select(V.LessThan(V.Add(old, V.Broadcast(8f)), largest), largest, old);

    /// <summary>What to subtract before the exponential: the maximum, or 0 where nothing was seen yet, because -inf - -inf is NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Shift(V max) => V.Select(V.Equals(max, V.Broadcast(float.NegativeInfinity)), V.Broadcast(0f), max);

    /// <summary>What sums and outputs so far are multiplied by: 1 while they are 0, so that the first tile changes nothing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Correction(V old, V shift) => V.Select(
        V.Equals(old, V.Broadcast(float.NegativeInfinity)), V.Broadcast(1f), VectorMath.Exp(V.Subtract(old, shift)));

    /// <summary>e^(s - shift), and -0 for s = -inf.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V MarkedExp(V s, V shift) => V.Select(
        V.Equals(s, V.Broadcast(float.NegativeInfinity)), V.Broadcast(-0f), VectorMath.Exp(V.Subtract(s, shift)));
}
