namespace AttentionKernels.Cpu;

/// <summary>Threads that the engine borrows: ONNX Runtime's pool inside a session, .NET's elsewhere. A struct, so that a call allocates nothing.</summary>
internal unsafe interface IWorkers
{
    /// <summary>How many calls of the body can usefully run at once.</summary>
    int Degree { get; }

    /// <summary>Calls <c>body(state, 0 .. count - 1)</c> on any threads in any order, and returns after the last one.</summary>
    void Run(delegate* unmanaged[Cdecl]<void*, nuint, void> body, void* state, int count);
}
