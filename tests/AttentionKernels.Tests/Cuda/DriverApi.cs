using System.Runtime.InteropServices;
using static AttentionKernels.Cuda.CudaNative;

namespace AttentionKernels.Tests.Cuda;

/// <summary>What tests ask a CUDA driver for beside the launcher: device memory, streams, graphs. The launcher itself has none of it, for ONNX Runtime gives it both.</summary>
internal sealed unsafe class DriverApi(nint library)
{
    /// <summary>CU_STREAM_NON_BLOCKING: the default stream, which others may use, waits for nothing of ours.</summary>
    private const uint NonBlocking = 1;

    /// <summary>CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do is not forbidden meanwhile.</summary>
    private const int ThreadLocal = 1;

    private readonly delegate* unmanaged<ulong*, nuint, int> _allocate = (delegate* unmanaged<ulong*, nuint, int>)Find(library, "cuMemAlloc_v2");
    private readonly delegate* unmanaged<ulong, int> _free = (delegate* unmanaged<ulong, int>)Find(library, "cuMemFree_v2");
    private readonly delegate* unmanaged<ulong, byte, nuint, WorkStream*, int> _fill = (delegate* unmanaged<ulong, byte, nuint, WorkStream*, int>)Find(library, "cuMemsetD8Async");
    private readonly delegate* unmanaged<WorkStream**, uint, int> _streamCreate = (delegate* unmanaged<WorkStream**, uint, int>)Find(library, "cuStreamCreate");
    private readonly delegate* unmanaged<WorkStream*, int> _streamDestroy = (delegate* unmanaged<WorkStream*, int>)Find(library, "cuStreamDestroy_v2");
    private readonly delegate* unmanaged<WorkStream*, int> _streamSynchronize = (delegate* unmanaged<WorkStream*, int>)Find(library, "cuStreamSynchronize");
    private readonly delegate* unmanaged<WorkStream*, int, int> _beginCapture = (delegate* unmanaged<WorkStream*, int, int>)Find(library, "cuStreamBeginCapture_v2");
    private readonly delegate* unmanaged<WorkStream*, void**, int> _endCapture = (delegate* unmanaged<WorkStream*, void**, int>)Find(library, "cuStreamEndCapture");
    private readonly delegate* unmanaged<void**, void*, ulong, int> _instantiate = (delegate* unmanaged<void**, void*, ulong, int>)Find(library, "cuGraphInstantiateWithFlags");
    private readonly delegate* unmanaged<void*, WorkStream*, int> _graphLaunch = (delegate* unmanaged<void*, WorkStream*, int>)Find(library, "cuGraphLaunch");
    private readonly delegate* unmanaged<void*, int> _executableDestroy = (delegate* unmanaged<void*, int>)Find(library, "cuGraphExecDestroy");
    private readonly delegate* unmanaged<void*, int> _graphDestroy = (delegate* unmanaged<void*, int>)Find(library, "cuGraphDestroy");

    /// <summary>Device memory, 256-byte aligned.</summary>
    public ulong Allocate(long bytes)
    {
        ulong address;
        Check(_allocate(&address, (nuint)bytes), $"cuMemAlloc of {bytes} bytes");
        return address;
    }

    /// <summary>Gives device memory back; waits for what is using it.</summary>
    public void Free(ulong address) => Check(_free(address), "cuMemFree");

    /// <summary>Puts a fill of device memory into a stream.</summary>
    public void Fill(ulong address, byte value, long bytes, WorkStream* stream) => Check(_fill(address, value, (nuint)bytes, stream), "cuMemsetD8Async");

    public WorkStream* CreateStream()
    {
        WorkStream* stream;
        Check(_streamCreate(&stream, NonBlocking), "cuStreamCreate");
        return stream;
    }

    public void DestroyStream(WorkStream* stream) => Check(_streamDestroy(stream), "cuStreamDestroy");

    /// <summary>Waits for a stream; an error of a kernel in it comes out here.</summary>
    public void Synchronize(WorkStream* stream) => Check(_streamSynchronize(stream), "cuStreamSynchronize");

    public void BeginCapture(WorkStream* stream) => Check(_beginCapture(stream, ThreadLocal), "cuStreamBeginCapture");

    /// <summary>Ends a capture.</summary>
    /// <returns>An executable graph, and the graph that it was made of: <see cref="DestroyGraph"/>.</returns>
    public (nint Executable, nint Graph) EndCapture(WorkStream* stream)
    {
        void* graph, executable;
        Check(_endCapture(stream, &graph), "cuStreamEndCapture");
        Check(_instantiate(&executable, graph, 0), "cuGraphInstantiateWithFlags");
        return ((nint)executable, (nint)graph);
    }

    public void LaunchGraph(nint executable, WorkStream* stream) => Check(_graphLaunch((void*)executable, stream), "cuGraphLaunch");

    public void DestroyGraph((nint Executable, nint Graph) made)
    {
        Check(_executableDestroy((void*)made.Executable), "cuGraphExecDestroy");
        Check(_graphDestroy((void*)made.Graph), "cuGraphDestroy");
    }

    private static nint Find(nint library, string function) => NativeLibrary.GetExport(library, function);

    private static void Check(int result, string call)
    {
        if (result != Success)
        {
            throw new InvalidOperationException($"{call} failed with CUresult {result}");
        }
    }
}
