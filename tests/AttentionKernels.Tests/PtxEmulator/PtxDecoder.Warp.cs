namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Instructions of the whole warp or block.</summary>
internal sealed unsafe partial class PtxDecoder
{
    // ldmatrix.sync.aligned.m8n8.x{1,2,4}[.trans].shared.b16
    private void LoadMatrix()
    {
        _i.Class = PtxOpClass.LoadMatrix;
        RequireModifier("sync");
        RequireModifier("aligned");
        RequireModifier("m8n8");
        int matrices = _statement.TakeAny("x1", "x2", "x4") switch { "x1" => 1, "x2" => 2, "x4" => 4, _ => throw Error("ldmatrix needs .x1, .x2 or .x4") };
        _i.Mode = _statement.Take("trans") ? 't' : 'n';
        RequireModifier("shared", "shared::cta");
        _i.Space = PtxSpace.Shared;
        RequireModifier("b16");
        Operands(2);
        PtxOperand target = _statement.Operand(0);
        PtxOperand[] registers = target.Kind == PtxOperandKind.Vector ? target.Items : [target];
        if (registers.Length != matrices)
        {
            throw Error($"{registers.Length} registers for {matrices} matrices");
        }
        _i.Destinations = [.. registers.Select(register => Destination(RequireRegister(register), 32))];
        SetAddress(_statement.Operand(1));
        _i.Execute = &Warp.LoadMatrix;
    }

    private PtxOperand RequireRegister(PtxOperand operand) =>
        operand.Kind == PtxOperandKind.Register ? operand : throw Error("the result needs registers");

    // mma.sync.aligned.m16n8k{16,8}.row.col.f32.{f16,bf16}.{f16,bf16}.f32
    private void Multiply()
    {
        _i.Class = PtxOpClass.Matrix;
        RequireModifier("sync");
        RequireModifier("aligned");
        string shape = _statement.TakeAny("m16n8k16", "m16n8k8") ?? throw Error("only mma m16n8k16 and m16n8k8");
        RequireModifier("row");
        RequireModifier("col");
        PtxType c = _statement.TakeType();
        PtxType b = _statement.TakeType();
        PtxType a = _statement.TakeType();
        PtxType d = _statement.TakeType();
        if (c is not { Kind: 'f', Bits: 32 } || d != c || a != b || a.Bits != 16 || a.Pair || !a.IsFloat)
        {
            throw Error("only mma of f16 or bf16 with f32 sums");
        }
        Operands(4);
        int registersA = shape == "m16n8k16" ? 4 : 2;
        _i.Type = a;
        _i.VectorBits = registersA;
        _i.Destinations = [.. Fragment(0, 4).Select(register => Destination(RequireRegister(register), 32))];
        _i.Sources =
        [
            .. Fragment(1, registersA).Select(register => Source(register, 32)),
            .. Fragment(2, registersA / 2).Select(register => Source(register, 32)),
            .. Fragment(3, 4).Select(register => Source(register, 32, true)),
        ];
        _i.Execute = &Warp.Multiply;
    }

    private PtxOperand[] Fragment(int index, int registers)
    {
        PtxOperand operand = _statement.Operand(index);
        PtxOperand[] items = operand.Kind == PtxOperandKind.Vector ? operand.Items : [operand];
        return items.Length == registers ? items : throw Error($"operand {index + 1} has {items.Length} registers, not {registers}");
    }

    // shfl.sync.{bfly,up,down,idx}.b32 d[|p], a, b, c, members
    private void Shuffle()
    {
        _i.Class = PtxOpClass.Exchange;
        RequireModifier("sync");
        _i.Mode = (_statement.TakeAny("bfly", "up", "down", "idx") ?? throw Error("unknown shuffle"))[0];
        RequireModifier("b32");
        Operands(5);
        PtxOperand target = _statement.Operand(0);
        PtxOperand value = target.Kind == PtxOperandKind.Pair ? target.Items[0] : target;
        _i.D = Destination(RequireRegister(value), 32);
        _i.D2 = target.Kind == PtxOperandKind.Pair ? Destination(target.Items[1], 1) : -1;
        SetSources(1, 3, 32);
        _i.Sources = [Source(4, 32)];
        _i.Execute = &Warp.Shuffle;
    }

    // vote.sync, activemask, match.sync, redux.sync
    private void Vote()
    {
        _i.Class = PtxOpClass.Exchange;
        string opcode = _statement.Opcode;
        PtxType type = _statement.TakeType();
        if (opcode == "activemask")
        {
            Operands(1);
            SetDestination(32);
            _i.Mode = 'm';
            _i.Execute = &Warp.Vote;
            return;
        }
        RequireModifier("sync");
        Operands(3);
        _i.Sources = [Source(2, 32)];
        if (opcode == "vote")
        {
            string mode = _statement.TakeAny("all", "any", "uni", "ballot") ?? throw Error("unknown vote");
            _i.Mode = mode == "any" ? 'y' : mode[0];
            _i.D = Destination(RequireRegister(_statement.Operand(0)), mode == "ballot" ? 32 : 1);
            _i.A = PredicateSource(_statement.Operand(1), out _i.NegatedA);
            _i.Execute = &Warp.Vote;
        }
        else if (opcode == "match")
        {
            _i.Mode = (_statement.TakeAny("all", "any") ?? throw Error("unknown match")) == "all" ? 'a' : 'y';
            PtxOperand target = _statement.Operand(0);
            _i.D = Destination(RequireRegister(target.Kind == PtxOperandKind.Pair ? target.Items[0] : target), 32);
            _i.D2 = target.Kind == PtxOperandKind.Pair ? Destination(target.Items[1], 1) : -1;
            SetSources(1, 1, type.Bits);
            _i.Execute = &Warp.Match;
        }
        else
        {
            string operation = _statement.TakeAny("add", "min", "max", "and", "or", "xor") ?? throw Error("unknown reduction");
            if (type.Bits != 32)
            {
                throw Error($"redux has no type {type}");
            }
            SetDestination(32);
            SetSources(1, 1, 32);
            _i.Scalar = AtomicOperation(operation, type);
            _i.Execute = &Warp.Reduce;
        }
    }

    // bar.sync, barrier[.cta].sync[.aligned], bar.red, bar.warp.sync
    private void Barrier()
    {
        _i.Class = PtxOpClass.Barrier;
        _statement.Take("cta");
        if (_statement.Take("warp"))
        {
            RequireModifier("sync");
            Operands(1);
            _i.A = Source(0, 32);
            _i.Execute = &Warp.WarpSync;
            return;
        }
        _statement.Take("aligned");
        _i.Execute = &Warp.BarrierSync;
        if (_statement.Take("sync"))
        {
            _i.Mode = 's';
            _i.A = Source(0, 32);
            if (_statement.Operands.Count > 1)
            {
                Operands(2);
                _i.B = Source(1, 32);
            }
            return;
        }
        RequireModifier("red");
        string operation = _statement.TakeAny("popc", "and", "or") ?? throw Error("unknown reduction");
        PtxType type = _statement.TakeType();
        _i.Mode = operation[0];
        int bits = operation == "popc" ? 32 : 1;
        if (type.Bits != bits)
        {
            throw Error($"bar.red.{operation} has no type {type}");
        }
        int count = _statement.Operands.Count;
        if (count is not (3 or 4))
        {
            Operands(3);
        }
        _i.D = Destination(RequireRegister(_statement.Operand(0)), bits);
        _i.A = Source(1, 32);
        _i.B = count == 4 ? Source(2, 32) : -1;
        _i.C = PredicateSource(_statement.Operand(count - 1), out _i.NegatedC);
    }
}
