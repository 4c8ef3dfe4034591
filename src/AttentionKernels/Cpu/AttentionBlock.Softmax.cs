using System.Numerics;
using System.Runtime.CompilerServices;

namespace AttentionKernels.Cpu;

/// <content>Online softmax over a tile, for one class and for two.</content>
internal static unsafe partial class AttentionBlock<V>
{
    /// <summary>
    /// Turns logits into exponentials relative to the running maximum, updates maximum and sum, and leaves in
    /// <see cref="BlockMemory.Correction"/> what the earlier sums and outputs must be multiplied by.
    /// </summary>
    /// <param name="mark">Store -0 for keys that a row does not see.</param>
    /// <param name="keys">Keys of the tile.</param>
    /// <param name="width">Lanes.</param>
    /// <param name="memory">Block.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Softmax(bool mark, int keys, int width, in BlockMemory memory)
    {
        for (int lane = 0; lane < width; lane += V.Count)
        {
            float* scores = memory.Scores + lane, end = scores + (keys * Pitch);
            V old = V.Load(memory.Max + lane), max = Raise(old, Largest(scores, end));
            V shift = Shift(max), sum = Exponentials(mark, scores, end, shift);
            V correction = VectorMath.Exp(V.Subtract(old, shift));
            V.Store(correction, memory.Correction + lane);
            V.Store(V.MultiplyAdd(V.Load(memory.Sum + lane), correction, sum), memory.Sum + lane);
            V.Store(max, memory.Max + lane);
        }
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
    /// The same for a tile with keys that rows of the block are aligned with: aligned keys and the rest have their own maximum, sum and
    /// exponentials. Also tracks maximum and sum of keys of V_all that are not aligned.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SoftmaxSplit(bool mark, ulong boxed, int keys, int width, in BlockMemory memory)
    {
        V hidden = V.Broadcast(float.NegativeInfinity);
        for (int lane = 0; lane < width; lane += V.Count)
        {
            // Aligned logits move out of the tile, and leave -inf behind.
            ulong alignedKeys = memory.AlignedKeys[lane / LaneGroup];
            float* scores = memory.Scores + lane, end = scores + (keys * Pitch);
            float* aligned = memory.AlignedScores + lane, alignedEnd = aligned;
            V oldAligned = V.Load(memory.MaxAligned + lane), maxAligned = oldAligned;
            for (ulong set = alignedKeys; set != 0; set &= set - 1, alignedEnd += Pitch)
            {
                int n = BitOperations.TrailingZeroCount(set);
                V s = V.Load(scores + (n * Pitch)), isAligned = V.Lanes(memory.Aligned[n] >> lane), q = V.Select(isAligned, s, hidden);
                maxAligned = V.Max(maxAligned, q);
                V.Store(q, alignedEnd);
                V.Store(V.Select(isAligned, hidden, s), scores + (n * Pitch));
            }
            V maxBoxed = V.Load(memory.MaxBoxed + lane);
            for (ulong set = boxed; set != 0; set &= set - 1)
            {
                maxBoxed = V.Max(maxBoxed, V.Load(scores + (BitOperations.TrailingZeroCount(set) * Pitch)));
            }

            V old = V.Load(memory.Max + lane), max = Raise(old, Largest(scores, end));
            V shift = Shift(max), shiftAligned = Shift(maxAligned);
            V sum = Exponentials(mark || alignedKeys != 0, scores, end, shift), sumAligned = Exponentials(true, aligned, alignedEnd, shiftAligned);
            V sumBoxed = V.Broadcast(0f);
            for (ulong set = boxed; set != 0; set &= set - 1)
            {
                sumBoxed = V.Add(sumBoxed, V.Load(scores + (BitOperations.TrailingZeroCount(set) * Pitch)));
            }

            V correction = VectorMath.Exp(V.Subtract(old, shift));
            V alignedCorrection = VectorMath.Exp(V.Subtract(oldAligned, shiftAligned));
            V.Store(correction, memory.Correction + lane);
            V.Store(alignedCorrection, memory.AlignedCorrection + lane);
            V.Store(V.MultiplyAdd(V.Load(memory.Sum + lane), correction, sum), memory.Sum + lane);
            V.Store(V.MultiplyAdd(V.Load(memory.SumAligned + lane), alignedCorrection, sumAligned), memory.SumAligned + lane);
            V.Store(V.MultiplyAdd(V.Load(memory.SumBoxed + lane), correction, sumBoxed), memory.SumBoxed + lane);
            V.Store(max, memory.Max + lane);
            V.Store(maxAligned, memory.MaxAligned + lane);
            V.Store(maxBoxed, memory.MaxBoxed + lane);
        }
    }

    /// <summary>Replaces a column of logits by exponentials and sums them up, in this order whatever else the tile holds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Exponentials(bool mark, float* s, float* end, V shift)
    {
        V sum = V.Broadcast(0f);
        if (mark)
        {
            for (; s < end; s += Pitch)
            {
                V p = MarkedExp(V.Load(s), shift);
                sum = V.Add(sum, p);
                V.Store(p, s);
            }
        }
        else
        {
            for (; s < end; s += Pitch)
            {
                V p = VectorMath.Exp(V.Subtract(V.Load(s), shift));
                sum = V.Add(sum, p);
                V.Store(p, s);
            }
        }
        return sum;
    }

    /// <summary>Largest logits of the tile's aligned and other keys of V_all, before <see cref="Softmax"/> overwrites them.</summary>
    private static void TrackMaxima(ulong boxed, in BlockMemory memory)
    {
        V hidden = V.Broadcast(float.NegativeInfinity);
        for (int lane = 0; lane < memory.Width; lane += V.Count)
        {
            ulong alignedKeys = memory.AlignedKeys[lane / LaneGroup];
            V maxAligned = V.Load(memory.MaxAligned + lane), maxBoxed = V.Load(memory.MaxBoxed + lane);
            for (ulong set = boxed & ~alignedKeys; set != 0; set &= set - 1)
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

    /// <summary>After <see cref="Softmax"/>: corrects the sums over V_all, and adds this tile's.</summary>
    private static void AddClassSums(AttentionCall* call, int b, int key, int keys, ulong boxed, in BlockMemory memory)
    {
        V zero = V.Broadcast(0f);
        for (int lane = 0; lane < memory.Width; lane += V.Count)
        {
            ulong alignedKeys = memory.AlignedKeys[lane / LaneGroup];
            V correction = V.Load(memory.Correction + lane);
            V sumAligned = zero, sumBoxed = zero;
            for (ulong set = boxed & ~alignedKeys; set != 0; set &= set - 1)
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
        if (call->Bias.SpeakerScores != null && !memory.Split)
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

    /// <summary>e^(s - shift), and -0 for s = -inf.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V MarkedExp(V s, V shift) => V.Select(
        V.Equals(s, V.Broadcast(float.NegativeInfinity)), V.Broadcast(-0f), VectorMath.Exp(V.Subtract(s, shift)));
}
