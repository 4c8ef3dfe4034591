using AttentionKernels.Cuda;
using AttentionKernels.OnnxRuntime.Interop;
using static AttentionKernels.OnnxRuntime.Interop.OrtNative;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>What a node on the CUDA provider runs with: its device, with the kernels that it may launch loaded while the session is made, so that runs can be captured into a graph.</summary>
internal sealed unsafe class CudaNode
{
    private readonly CudaContext _context;
    private readonly MemoryInfo* _memory;

    private CudaNode(CudaContext context, MemoryInfo* memory)
    {
        _context = context;
        _memory = memory;
    }

    /// <summary>Prepares a node.</summary>
    /// <param name="info">Node.</param>
    /// <param name="type">Type of its tensors.</param>
    /// <param name="headSize">Head size if the graph tells it; null: kernels of all head sizes are loaded.</param>
    /// <exception cref="CudaException">There is no driver, the device is too old, or a kernel does not load.</exception>
    public static CudaNode Of(in KernelInfo info, ElementType type, long? headSize)
    {
        (string name, int device) = info.Memory;
        CudaContext context = CudaContext.OfDevice(device);
        context.Load(AttentionCuda.KernelsFor(context.Kernels, type, (int)(headSize ?? 0)));
        return new CudaNode(context, info.Api.Memory(name, device));
    }

    /// <summary>Device memory for what the node puts into its stream.</summary>
    public DeviceBuffer Scratch(scoped in KernelContext context, nuint bytes) => context.DeviceScratch(_memory, bytes);

    /// <summary>Puts a call into the node's stream.</summary>
    public void Run(in KernelContext context, in CudaCall call)
    {
        CudaQueue queue = new(_context, context.ComputeStream);
        try
        {
            Run(context, ref queue, call);
        }
        finally
        {
            queue.Dispose();
        }
    }

    /// <summary>Puts a call into the node's stream, and a copy of device memory that it writes.</summary>
    public CudaDownload RunAndDownload(in KernelContext context, in CudaCall call, void* results, nuint bytes)
    {
        CudaQueue queue = new(_context, context.ComputeStream);
        try
        {
            Run(context, ref queue, call);
            return queue.Download(results, bytes);
        }
        finally
        {
            queue.Dispose();
        }
    }

    /// <summary>An error about what the CUDA provider cannot do with a node, told when its session is made.</summary>
    public static OrtException Refusal(string reason) => new(OrtErrorCode.NotImplemented, reason + " on CUDAExecutionProvider");

    /// <summary>An error about an output of logits or probabilities, which the CUDA provider does not have.</summary>
    public static OrtException MatrixRefusal(string output) => Refusal(
        $"output '{output}' is listed, expected none: no kernel here writes an S x T matrix; what heads look at is in head_scores of SteeredAttention, CrossModalHeadScores or a steering scope, "
        + "and the matrix itself can be had on CPUExecutionProvider, not");

    private void Run(in KernelContext context, ref CudaQueue queue, in CudaCall call)
    {
        call.CheckLimits();
        nuint bytes = AttentionCuda.ScratchBytes(ref queue, call);
        using DeviceBuffer scratch = Scratch(context, bytes);
        AttentionCuda.Run(ref queue, call, scratch.Data, bytes);
    }
}
