using System.Runtime.CompilerServices;
using AttentionKernels.Kernels.Device;

namespace AttentionKernels.Kernels;

/// <content>The product with the keys, and what becomes of it before the softmax.</content>
internal static partial class PrefillSimtKernel
{
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
            logit = BiasedLogit.Of(logit, added);
        }
        s[at] = isSeen ? logit : float.NegativeInfinity;
    }
}
