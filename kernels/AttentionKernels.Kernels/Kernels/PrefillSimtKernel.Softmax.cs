using System.Runtime.CompilerServices;
using AttentionKernels.Kernels.Device;
using ILGPU;

namespace AttentionKernels.Kernels;

/// <content>Online softmax of a row, for all keys or for two classes of them.</content>
internal static partial class PrefillSimtKernel
{
    /// <summary>Exponentials of row i in the place of its logits; scales what was summed before to the new maximum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WholeSoftmax(float[] s, int i, float[] max, float[] sum, float[] outputs)
    {
        float largest = RowMax(Arithmetic.Max(Arithmetic.Max(s[4 * i], s[(4 * i) + 1]), Arithmetic.Max(s[(4 * i) + 2], s[(4 * i) + 3])));
        float reference = Raise(max, sum, i, largest, outputs);
        s[4 * i] = Weight(s[4 * i], reference);
        s[(4 * i) + 1] = Weight(s[(4 * i) + 1], reference);
        s[(4 * i) + 2] = Weight(s[(4 * i) + 2], reference);
        s[(4 * i) + 3] = Weight(s[(4 * i) + 3], reference);
        sum[i] += s[4 * i] + s[(4 * i) + 1] + (s[(4 * i) + 2] + s[(4 * i) + 3]);
    }

    /// <summary>As <see cref="WholeSoftmax"/>, aligned keys and the rest each with a maximum and a sum of their own. Bit n of the sets is key n of mine.</summary>
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
        boxedMax[i] = Arithmetic.Max(boxedMax[i], largestBoxed);
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
        float before = max[i], now = Arithmetic.Max(before, logit), factor = Factor(before, now);
        max[i] = now;
        sum[i] *= factor;
        Scale(outputs, 8 * i, factor);
        Scale(outputs, (8 * i) + 4, factor);
        return now == float.NegativeInfinity ? 0f : now;
    }

    /// <summary>e^(before - now), 1 where both are -inf.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Factor(float before, float now) => now == float.NegativeInfinity ? 1f : Exp(before - now);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Scale(float[] values, int at, float factor)
    {
        values[at] *= factor;
        values[at + 1] *= factor;
        values[at + 2] *= factor;
        values[at + 3] *= factor;
    }

    /// <summary>
    /// e^(logit - maximum), and -0 for a key that the row does not see. Differences are taken before the change to base 2: large logits lose nothing, and the largest weight is exactly 1.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Weight(float logit, float reference) => logit == float.NegativeInfinity ? Hidden : Exp(logit - reference);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Exp(float x) => Arithmetic.Exp2(x * Arithmetic.Log2E);

    private static float Hidden
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Interop.IntAsFloat(0x80000000u);
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
}
