using System.Runtime.CompilerServices;
using AttentionKernels.Kernels.Device;

namespace AttentionKernels.Kernels;

/// <content>What becomes of the product with the keys.</content>
internal static partial class DecodeKernel
{
    /// <summary>Scale, soft-cap, bias of two keys of two rows; in base-2 units, so that equal logits differ by 0 however large they are.</summary>
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
            s = SoftCap.Apply(s, softcap);
        }
        if (hasBias && key >= first && key < end)
        {
            float added = GlobalMemory.LoadElement<T>(bias + (key * 2L));
            s = BiasedLogit.Of(s, added);
        }
        return s * Arithmetic.Log2E;
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
}
