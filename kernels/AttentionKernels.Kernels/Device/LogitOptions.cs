using System.Runtime.CompilerServices;

namespace AttentionKernels.Kernels.Device;

/// <summary>Scale, soft-cap and dense bias of a tile's logits, which leave in base-2 units: logit * log2(e).</summary>
/// <remarks>
/// Here the largest logit of a row is rounded as its maximum is, so its exponential is 1, which the statistics of rows of U rest on. Where logits are scaled
/// within the exponential (<see cref="Softmax"/> with a factor), it is 1 but for the rounding of the maximum, which only quotients do not notice.
/// </remarks>
internal struct LogitOptions
{
    /// <summary>Factor of the products.</summary>
    public float Scale;

    /// <summary>Soft-cap; 0: none.</summary>
    public float Softcap;

    /// <summary>Address of the head's bias for row 0, key 0; 0: none.</summary>
    public long Bias;

    /// <summary>Bytes from one row of the bias to the next.</summary>
    public long BiasRow;

    /// <summary>Rows of the bias.</summary>
    public int Rows;

    /// <summary>Keys that are read of the bias: the valid ones, for a mask may end with them.</summary>
    public int Keys;

    /// <param name="bias">Address of the bias; 0: none.</param>
    /// <param name="head">Elements from there to the head's row 0.</param>
    /// <param name="biasRow">Elements from one row of the bias to the next.</param>
    /// <param name="rows">Rows of the bias.</param>
    /// <param name="keys">Keys of the bias that are valid.</param>
    /// <param name="scale">Factor of the products.</param>
    /// <param name="softcap">Soft-cap; 0: none.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LogitOptions Of(long bias, long head, long biasRow, int rows, int keys, float scale, float softcap) => new()
    {
        Scale = scale,
        Softcap = softcap,
        Bias = bias == 0 ? 0 : bias + (head * 2),
        BiasRow = biasRow * 2,
        Rows = rows,
        Keys = keys,
    };

    /// <summary>s * scale, capped, plus bias; times log2(e). Parameters as those of <see cref="LogitMask"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Apply<T>(Fragment[] s, int at, LogitOptions options, int row, int key)
        where T : struct, IElement
    {
        if (options.Softcap > 0)
        {
            Cap(s, at, options.Scale, options.Softcap);
        }
        else
        {
            float factor = options.Scale * Arithmetic.Log2E;
            Multiply(s, at, factor);
        }
        if (options.Bias != 0)
        {
            // Rows and keys beyond these take what the last ones have: nobody sees them.
            int last = options.Rows - 1, lower = row + 8;
            row = row < last ? row : last;
            lower = lower < last ? lower : last;
            long upperBias = options.Bias + (row * options.BiasRow), lowerBias = options.Bias + (lower * options.BiasRow);
            AddBias<T>(s, at, upperBias, lowerBias, key, options.Keys - 1);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Cap(Fragment[] s, int at, float scale, float softcap)
    {
        Cap(ref s[at], scale, softcap);
        Cap(ref s[at + 1], scale, softcap);
        Cap(ref s[at + 2], scale, softcap);
        Cap(ref s[at + 3], scale, softcap);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Cap(ref Fragment s, float scale, float softcap)
    {
        s.X = SoftCap.Apply(s.X * scale, softcap) * Arithmetic.Log2E;
        s.Y = SoftCap.Apply(s.Y * scale, softcap) * Arithmetic.Log2E;
        s.Z = SoftCap.Apply(s.Z * scale, softcap) * Arithmetic.Log2E;
        s.W = SoftCap.Apply(s.W * scale, softcap) * Arithmetic.Log2E;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Multiply(Fragment[] s, int at, float factor)
    {
        Multiply(ref s[at], factor);
        Multiply(ref s[at + 1], factor);
        Multiply(ref s[at + 2], factor);
        Multiply(ref s[at + 3], factor);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Multiply(ref Fragment s, float factor)
    {
        s.X *= factor;
        s.Y *= factor;
        s.Z *= factor;
        s.W *= factor;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddBias<B>(Fragment[] s, int at, long upper, long lower, int key, int last)
        where B : struct, IElement
    {
        AddBias<B>(ref s[at], upper, lower, key, last);
        AddBias<B>(ref s[at + 1], upper, lower, key + 8, last);
        AddBias<B>(ref s[at + 2], upper, lower, key + 16, last);
        AddBias<B>(ref s[at + 3], upper, lower, key + 24, last);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddBias<B>(ref Fragment s, long upper, long lower, int key, int last)
        where B : struct, IElement
    {
        long first = (long)(key < last ? key : last) * B.Bytes, second = (long)(key + 1 < last ? key + 1 : last) * B.Bytes;
        s.X = Sum(s.X, GlobalMemory.LoadElement<B>(upper + first));
        s.Y = Sum(s.Y, GlobalMemory.LoadElement<B>(upper + second));
        s.Z = Sum(s.Z, GlobalMemory.LoadElement<B>(lower + first));
        s.W = Sum(s.W, GlobalMemory.LoadElement<B>(lower + second));
    }

    // A bias of -inf hides the key whatever its logit is. The lowest finite float, which hides by convention, too, must stay finite in base-2 units; NaN stays NaN.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Sum(float s, float bias)
    {
        float log2 = bias * Arithmetic.Log2E;
        return Arithmetic.Select(bias == float.NegativeInfinity, float.NegativeInfinity, s + Arithmetic.Select(log2 < -float.MaxValue, -float.MaxValue, log2));
    }
}
