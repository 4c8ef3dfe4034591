using AttentionKernels.Cpu;
using AttentionKernels.Tests.Support;

namespace AttentionKernels.Tests.Cpu;

public sealed class AttentionCpuTests
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
}
