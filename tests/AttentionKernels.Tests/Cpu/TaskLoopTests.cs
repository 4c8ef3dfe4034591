using AttentionKernels.Cpu;

namespace AttentionKernels.Tests.Cpu;

public sealed unsafe class TaskLoopTests
{
    [Fact]
    public void An_Error_On_A_Worker_Reaches_The_Caller()
    {
        // Every worker throws: the first error is the one that is kept, and no exception crosses the native boundary between.
        InvalidOperationException e = Assert.Throws<InvalidOperationException>(() => Run(100));
        Assert.StartsWith("task ", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void More_Tasks_Than_Can_Be_Counted_Are_Refused()
    {
        ArgumentException e = Assert.Throws<ArgumentException>(() => Run((1L << 30) + 1));
        Assert.Contains("1073741825", e.Message, StringComparison.Ordinal);
        Assert.Contains("1073741824", e.Message, StringComparison.Ordinal);
    }

    private static void Run(long tasks) => TaskLoop.Run(&Throw, null, tasks, null, 0, new ThreadPoolWorkers(2));

    private static void Throw(void* state, int task, byte* memory) => throw new InvalidOperationException($"task {task}");
}
