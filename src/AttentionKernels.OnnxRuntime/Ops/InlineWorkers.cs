using AttentionKernels.Cpu;

namespace AttentionKernels.OnnxRuntime.Ops;

/// <summary>The calling thread alone, for work that is over before another thread would have woken up.</summary>
internal readonly unsafe struct InlineWorkers : IWorkers
{
    /// <inheritdoc/>
    public int Degree => 1;

    /// <inheritdoc/>
    public void Run(delegate* unmanaged[Cdecl]<void*, nuint, void> body, void* state, int count)
    {
        for (int i = 0; i < count; i++)
        {
            body(state, (nuint)i);
        }
    }
}
