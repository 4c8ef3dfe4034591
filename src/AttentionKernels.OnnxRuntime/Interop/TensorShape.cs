using System.Runtime.CompilerServices;

namespace AttentionKernels.OnnxRuntime.Interop;

/// <summary>Room for the dimensions of a tensor of rank 8 or less, without allocation.</summary>
[InlineArray(MaxRank)]
internal struct TensorShape
{
    public const int MaxRank = 8;

    private long _first;
}
