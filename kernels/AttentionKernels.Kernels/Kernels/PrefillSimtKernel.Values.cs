using System.Runtime.CompilerServices;
using AttentionKernels.Kernels.Device;
using ILGPU;

namespace AttentionKernels.Kernels;

/// <content>The product with the values, and where it goes.</content>
internal static partial class PrefillSimtKernel
{
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

    /// <summary>Finishes row i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<T>(int i, bool isWanted, float[] max, float[] sum, float[] outputs, float sink, long target, int columns)
        where T : struct, IElement
    {
        float largest = Arithmetic.Max(max[i], sink), scale = Exp(max[i] - largest);
        float total = Arithmetic.Fma(sum[i], scale, sink == float.NegativeInfinity ? 0f : Exp(sink - largest));
        scale = sum[i] == 0 ? 0f : Arithmetic.Divide(scale, total);
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
                MaxAligned = alignedMax[i] * Arithmetic.Log2E,
                SumAligned = alignedSum[i],
                MaxRest = restMax[i] * Arithmetic.Log2E,
                SumRest = restSum[i],
                SumBoxed = boxedSum[i],
                MaxBoxed = boxedMax[i] * Arithmetic.Log2E,
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
}
