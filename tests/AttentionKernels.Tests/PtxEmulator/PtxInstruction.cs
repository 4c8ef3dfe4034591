namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>An instruction decoded for execution by a warp: every operand is a byte offset in the warp's register file.</summary>
/// <remarks>Constants and special registers have slots of their own, so that handlers know one kind of source only.</remarks>
internal sealed unsafe class PtxInstruction(PtxStatement statement)
{
    public int Line { get; } = statement.Line;

    public string Text { get; } = statement.Text;

    public string Opcode { get; } = statement.Opcode;

    public PtxOpClass Class { get; set; } = PtxOpClass.Integer;

    /// <summary>What a warp does; called only when the guard lets a lane through.</summary>
    public delegate*<Warp, PtxInstruction, void> Execute { get; set; }

    /// <summary>Slot of the guard predicate; -1 without one.</summary>
    public int Guard { get; set; } = -1;

    public bool GuardNegated { get; set; }

    public int D = -1;
    public int A = -1;
    public int B = -1;
    public int C = -1;
    public bool DWide;
    public bool AWide;
    public bool BWide;
    public bool CWide;

    /// <summary>Bits of the destination that a scalar handler writes.</summary>
    public ulong DMask = ~0ul;

    /// <summary>Float32 arithmetic flushes denormal inputs and results to zeros of their sign.</summary>
    public bool Flush;

    public bool Saturate;

    /// <summary>Product, sum or difference of float32 without .rn: ptxas may fuse it (<see cref="Contraction"/>).</summary>
    public bool Fusable;

    /// <summary>Predicate sources are inverted.</summary>
    public bool NegatedA;
    public bool NegatedC;

    /// <summary>Slots of the elements of vectors (ld, st, mma, ldmatrix), in order; -1 for an unwanted result.</summary>
    public int[] Destinations = [];
    public int[] Sources = [];

    /// <summary>Register bits of the elements of the vector.</summary>
    public int VectorBits;

    /// <summary>Offset that is added to an address; constant of the instruction (lut, group count, barrier).</summary>
    public long Immediate;

    /// <summary>Offsets of the two addresses of cp.async.</summary>
    public long OffsetA;
    public long OffsetB;

    /// <summary>Memory access: element type and state space.</summary>
    public PtxType Type;
    public PtxSpace Space;

    /// <summary>Whether the access synchronises (volatile, relaxed, acquire, release), so that races are meant.</summary>
    public bool Strong;

    /// <summary>Whether a load is of memory that nobody writes while the kernel runs (.nc).</summary>
    public bool Constant;

    /// <summary>Lane by lane: three sources to one result, raw bits.</summary>
    public Func<ulong, ulong, ulong, ulong>? Scalar;

    /// <summary>Function of the special function unit.</summary>
    public Approximation? Approximation;

    /// <summary>Comparison for setp, set and slct.</summary>
    public Func<ulong, ulong, bool>? Compare;

    /// <summary>Second destination of setp, vote, shfl; -1 without.</summary>
    public int D2 = -1;

    /// <summary>Kind of an exchange, vote, barrier or boolean combination.</summary>
    public char Mode;

    /// <summary>Branch target: index of an instruction; for brx.idx a list.</summary>
    public int Target = -1;
    public int[] Targets = [];
    public bool Uniform;

    /// <summary>Instruction where lanes that a branch separates meet again; <see cref="ControlFlow.Exit"/>: not before they exit.</summary>
    public int Reconvergence = ControlFlow.Exit;

    /// <summary>Registers that it reads and writes; used only before execution.</summary>
    public List<PtxRegister> Reads { get; } = [];

    public List<PtxRegister> Writes { get; } = [];

    /// <summary>Registers read here that some path leaves without a value: checked when executed.</summary>
    public PtxRegister[]? Checked;

    /// <summary>Registers written here that some instruction checks.</summary>
    public PtxRegister[]? Tracked;

    public bool IsBranch => Target >= 0 || Targets.Length > 0;

    /// <summary>ret and exit.</summary>
    public bool IsExit;

    /// <summary>Another instruction that is the same.</summary>
    public PtxInstruction Copy() => (PtxInstruction)MemberwiseClone();
}
