namespace AttentionKernels.Cuda;

/// <summary>The opaque types and the numbers of the CUDA driver API that this library uses.</summary>
internal static class CudaNative
{
    /// <summary>CUDA_SUCCESS.</summary>
    public const int Success = 0;

    /// <summary>CUDA_ERROR_UNSUPPORTED_PTX_VERSION: what a driver says to PTX that is newer than its compiler.</summary>
    public const int UnsupportedPtx = 222;

    /// <summary>CUDA_ERROR_NOT_READY: what an event says that has not come yet.</summary>
    public const int NotReady = 600;

    /// <summary>CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT.</summary>
    public const int MultiprocessorCount = 16;

    /// <summary>CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.</summary>
    public const int CapabilityMajor = 75, CapabilityMinor = 76;

    /// <summary>CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: bytes that a block may have when its kernel asks for them.</summary>
    public const int MostSharedBytes = 97;

    /// <summary>CU_STREAM_CAPTURE_MODE_RELAXED.</summary>
    public const int RelaxedCapture = 2;

    /// <summary>CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES.</summary>
    public const int MaxDynamicSharedBytes = 8;

    /// <summary>CU_JIT_ERROR_LOG_BUFFER and its _SIZE_BYTES.</summary>
    public const int JitErrorLog = 5, JitErrorLogBytes = 6;

    /// <summary>CU_EVENT_DISABLE_TIMING.</summary>
    public const uint WithoutTiming = 2;

    /// <summary>CUcontext.</summary>
    public readonly struct Context;

    /// <summary>CUmodule.</summary>
    public readonly struct Module;

    /// <summary>CUfunction.</summary>
    public readonly struct Function;

    /// <summary>CUstream.</summary>
    public readonly struct WorkStream;

    /// <summary>CUevent.</summary>
    public readonly struct Event;
}
