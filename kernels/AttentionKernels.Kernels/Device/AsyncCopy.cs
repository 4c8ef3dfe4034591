using System.Runtime.CompilerServices;
using ILGPU.Runtime.Cuda;

namespace AttentionKernels.Kernels.Device;

/// <summary>Copies from global to shared memory that run beside the arithmetic (cp.async). What a thread copied is visible to others after its wait and a barrier.</summary>
internal static class AsyncCopy
{
    /// <summary>16 bytes, both addresses 16-byte aligned.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy(int shared, long global) => CudaAsm.Emit("cp.async.cg.shared.global [%0], [%1], 16;", shared, global);

    /// <summary>The first <paramref name="bytes"/> (0..16) of 16 bytes; the rest of them becomes 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy(int shared, long global, int bytes) => CudaAsm.Emit("cp.async.cg.shared.global [%0], [%1], 16, %2;", shared, global, bytes);

    /// <summary>Makes a group of this thread's copies since the last call.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Commit() => CudaAsm.Emit("cp.async.commit_group;");

    /// <summary>Waits for all groups of this thread.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WaitAll() => CudaAsm.Emit("cp.async.wait_group 0;");

    /// <summary>Waits for all groups of this thread but the newest.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WaitAllButOne() => CudaAsm.Emit("cp.async.wait_group 1;");

    /// <summary>Waits for all groups of this thread but the two newest.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WaitAllButTwo() => CudaAsm.Emit("cp.async.wait_group 2;");
}
