using AttentionKernels.Cpu;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cpu;

public sealed unsafe class AttentionCpuTests
{
    public static TheoryData<InstructionSet> Sets => [.. Enum.GetValues<InstructionSet>().Where(InstructionSets.IsSupported)];

    [Theory]
    [MemberData(nameof(Sets))]
    public void Engine_Agrees_With_Reference(InstructionSet set) => Properties.ForAll(400, spec =>
    {
        using AttentionCase c = new(spec, nameof(Engine_Agrees_With_Reference));
        c.Run(set: set);
        c.Check();
    }, salt: (ulong)set);

    [Fact]
    public void An_Error_On_A_Worker_Reaches_The_Caller()
    {
        AttentionCall call = new() { Task = &Throw };
        // Every worker throws: the first error is the one that is kept, and no exception crosses the native boundary between.
        InvalidOperationException e = Assert.Throws<InvalidOperationException>(() => RunPhase(call, 100));
        Assert.StartsWith("task ", e.Message, StringComparison.Ordinal);

        static void Throw(AttentionCall* call, int task, byte* memory) => throw new InvalidOperationException($"task {task}");
    }

    [Fact]
    public void More_Tasks_Than_Can_Be_Counted_Are_Refused()
    {
        ArgumentException e = Assert.Throws<ArgumentException>(() => RunPhase(default, (1L << 30) + 1));
        Assert.Contains("1073741825", e.Message, StringComparison.Ordinal);
        Assert.Contains("1073741824", e.Message, StringComparison.Ordinal);
    }

    private static void RunPhase(AttentionCall call, long tasks) => AttentionCpu.RunPhase(&call, tasks, new ThreadPoolWorkers(2));
}
