namespace AttentionKernels.Cpu;

/// <summary>The .NET thread pool.</summary>
/// <param name="degree">Threads to use at most, the caller included.</param>
internal readonly unsafe struct ThreadPoolWorkers(int degree) : IWorkers
{
    /// <inheritdoc/>
    public int Degree => degree;

    /// <inheritdoc/>
    public void Run(delegate* unmanaged[Cdecl]<void*, nuint, void> body, void* state, int count)
    {
        if (degree == 1 || count == 1)
        {
            for (int i = 0; i < count; i++)
            {
                body(state, (nuint)i);
            }
            return;
        }
        nint function = (nint)body, argument = (nint)state;
        Parallel.For(0, count, new ParallelOptions { MaxDegreeOfParallelism = degree },
            i => ((delegate* unmanaged[Cdecl]<void*, nuint, void>)function)((void*)argument, (nuint)i));
    }
}
