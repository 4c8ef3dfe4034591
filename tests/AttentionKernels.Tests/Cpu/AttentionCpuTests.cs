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

    /// <summary>Broadcast tensors need no memory, so that only the numbers say that there is too much to do.</summary>
    [Fact]
    public void More_Blocks_Than_Can_Be_Counted_Are_Refused()
    {
        float number = 0;
        TensorView tensor = new(&number, ElementType.Float32, 0, 0, 0);
        AttentionProblem problem = new()
        {
            Batch = 1 << 20,
            Heads = 1 << 20,
            KvHeads = 1,
            QueryLength = 1 << 20,
            KeyLength = 1,
            HeadSize = 1,
            ValueHeadSize = 1,
            Query = tensor,
            Key = tensor,
            Value = tensor,
            Output = tensor,
            Scale = 1,
        };
        ArgumentException e = Assert.Throws<ArgumentException>(() => AttentionCpu.Run(problem, default));
        Assert.Contains("1048576 x 17179869184 blocks", e.Message, StringComparison.Ordinal);
        Assert.Contains("1073741824", e.Message, StringComparison.Ordinal);
    }
}
