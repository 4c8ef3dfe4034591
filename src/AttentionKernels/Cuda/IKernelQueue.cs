namespace AttentionKernels.Cuda;

/// <summary>Where a call of the CUDA engine goes: a device that does one thing after the other. Nothing here waits for it.</summary>
internal unsafe interface IKernelQueue
{
    /// <summary>The kernels that can be launched.</summary>
    KernelManifest Kernels { get; }

    /// <summary>Multiprocessors of the device: what decides how finely work is split.</summary>
    int Multiprocessors { get; }

    /// <summary>Launches a kernel.</summary>
    void Launch(KernelEntry kernel, Grid grid, ref KernelArguments arguments);

    /// <summary>Host memory to prepare an upload in, 64-byte aligned, not cleared, valid until <see cref="Upload"/>. Once in a call.</summary>
    void* Stage(nuint bytes);

    /// <summary>Copies a part of what <see cref="Stage"/> gave to the device.</summary>
    void Upload(void* target, void* source, nuint bytes);

    /// <summary>Clears device memory.</summary>
    void Clear(void* target, nuint bytes);
}
