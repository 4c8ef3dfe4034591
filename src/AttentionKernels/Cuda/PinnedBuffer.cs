using static AttentionKernels.Cuda.CudaNative;

namespace AttentionKernels.Cuda;

/// <summary>Pinned host memory, and an event that says when the device is done with it. Lives as long as its context.</summary>
internal sealed unsafe class PinnedBuffer
{
    public required void* Memory { get; init; }

    public required nuint Bytes { get; init; }

    /// <summary>Comes after the last copy out of the buffer, or into it.</summary>
    public required Event* Done { get; init; }

    /// <summary>Whether somebody writes it or is going to read it.</summary>
    public bool IsTaken { get; set; }
}
