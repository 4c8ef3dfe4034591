namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>What the loop over instructions needs of one, apart from the rest of it so that few cache lines are touched.</summary>
internal unsafe struct PtxStep(PtxInstruction instruction)
{
    public readonly delegate*<Warp, PtxInstruction, void> Execute = instruction.Execute;
    public readonly PtxInstruction Instruction = instruction;

    /// <summary>Neither guard nor registers to check.</summary>
    public readonly bool IsPlain = instruction.Guard < 0 && instruction.Checked is null && instruction.Tracked is null;

    /// <summary>Executions by a warp.</summary>
    public long Executed;
}
