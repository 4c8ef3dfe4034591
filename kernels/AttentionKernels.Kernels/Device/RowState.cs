using System.Runtime.CompilerServices;

namespace AttentionKernels.Kernels.Device;

/// <summary>Running softmax of the two rows, 8 apart, that a lane has of a row fragment.</summary>
internal struct RowState
{
    /// <summary>Largest logit so far in base-2 units, logit * log2(e); -inf: none. The same in the four lanes of the row.</summary>
    public float UpperMaximum, LowerMaximum;

    /// <summary>Sum of exponentials relative to the maximum, over the lane's own keys.</summary>
    public float UpperSum, LowerSum;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static RowState Empty() => new() { UpperMaximum = float.NegativeInfinity, LowerMaximum = float.NegativeInfinity };
}
