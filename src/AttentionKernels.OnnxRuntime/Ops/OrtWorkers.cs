using AttentionKernels.Cpu;
using AttentionKernels.OnnxRuntime.Interop;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>The session's own threads: no thread of ours runs inside ONNX Runtime.</summary>
internal readonly unsafe ref struct OrtWorkers(KernelContext context) : IWorkers
{
    private static readonly int Processors = Environment.ProcessorCount;

    private readonly KernelContext _context = context;

    /// <summary>The C API does not tell the size of the pool. Workers beyond it find no task left and return.</summary>
    public int Degree => Processors;

    /// <inheritdoc/>
    public void Run(delegate* unmanaged[Cdecl]<void*, nuint, void> body, void* state, int count) => _context.ParallelFor(body, (nuint)count, state);
}
