using static AttentionKernels.Cuda.CudaNative;

namespace AttentionKernels.Cuda;

/// <summary>Pinned host memory, and an event that says when the device has read it. Lives as long as its context.</summary>
internal sealed unsafe class PinnedBuffer
{
    public required void* Memory { get; init; }

    public required nuint Bytes { get; init; }

    /// <summary>Comes after the last copy out of the buffer.</summary>
    public required Event* Read { get; init; }

    /// <summary>Whether a call is filling it.</summary>
    public bool IsTaken { get; set; }
}
