using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace AttentionKernels.Cpu;

/// <summary>Hands numbered tasks out to borrowed threads, each with working memory of its own. Lives on the caller's stack.</summary>
internal unsafe struct TaskLoop
{
    private delegate*<void*, int, byte*, void> _task;
    private void* _state;
    private byte* _memory;
    private nuint _workerBytes;
    private int _count;
    private int _next;
    private nint _failure; // GCHandle of the first exception

    /// <summary>Calls <c>task(state, 0 .. count - 1, memory of the worker)</c>, and rethrows what one of them threw.</summary>
    /// <param name="task">Runs one task; tasks write to different places, so their order does not matter.</param>
    /// <param name="state">First argument of it.</param>
    /// <param name="count">Tasks.</param>
    /// <param name="memory"><paramref name="workerBytes"/> for each of the workers' threads.</param>
    /// <param name="workerBytes">Bytes of one worker's memory.</param>
    /// <param name="workers">Threads.</param>
    /// <exception cref="ArgumentException">There are too many tasks.</exception>
    public static void Run<TWorkers>(delegate*<void*, int, byte*, void> task, void* state, long count, byte* memory, nuint workerBytes, TWorkers workers)
        where TWorkers : IWorkers, allows ref struct
    {
        // Half of an int: each worker counts once beyond the last task.
        if (count > AttentionProblem.MaxLength)
        {
            throw new ArgumentException($"the problem has {count} blocks of rows and heads, expected at most {AttentionProblem.MaxLength}");
        }
        TaskLoop loop = new() { _task = task, _state = state, _memory = memory, _workerBytes = workerBytes, _count = (int)count };
        workers.Run(&Work, &loop, Math.Min(loop._count, workers.Degree));
        if (loop._failure != 0)
        {
            GCHandle handle = GCHandle.FromIntPtr(loop._failure);
            Exception exception = (Exception)handle.Target!;
            handle.Free();
            ExceptionDispatchInfo.Throw(exception);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Work(void* state, nuint worker)
    {
        TaskLoop* loop = (TaskLoop*)state;
        try
        {
            byte* memory = loop->_memory + (worker * loop->_workerBytes);
            for (int task; (task = Interlocked.Increment(ref loop->_next) - 1) < loop->_count;)
            {
                loop->_task(loop->_state, task, memory);
            }
        }
        catch (Exception exception)
        {
            // No exception may cross into a native thread pool.
            nint handle = GCHandle.ToIntPtr(GCHandle.Alloc(exception));
            if (Interlocked.CompareExchange(ref loop->_failure, handle, 0) != 0)
            {
                GCHandle.FromIntPtr(handle).Free();
            }
        }
    }
}
