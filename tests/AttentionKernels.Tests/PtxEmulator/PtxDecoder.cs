namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Turns statements into instructions for a <see cref="Warp"/>; refuses what it does not know.</summary>
internal sealed unsafe partial class PtxDecoder
{
    private readonly PtxStatement _statement;
    private readonly PtxEntryBuilder _entry;
    private readonly PtxInstruction _i;

    private PtxDecoder(PtxStatement statement, PtxEntryBuilder entry)
    {
        _statement = statement;
        _entry = entry;
        _i = new PtxInstruction(statement);
    }

    public static PtxInstruction Decode(PtxStatement statement, PtxEntryBuilder entry)
    {
        PtxDecoder decoder = new(statement, entry);
        decoder.DecodeGuard();
        decoder.DecodeOpcode();
        if (statement.Modifiers.Count > 0)
        {
            throw statement.Error($"unknown modifier .{statement.Modifiers[0]} of {statement.Opcode}");
        }
        return decoder._i;
    }

    private void DecodeGuard()
    {
        if (_statement.Guard is PtxOperand guard)
        {
            if (guard.Register!.Bits != 1)
            {
                throw Error($"{guard.Name} is no predicate");
            }
            _i.Guard = guard.Register.Slot;
            _i.GuardNegated = guard.Negated;
            _i.Reads.Add(guard.Register);
        }
    }

    private void DecodeOpcode()
    {
        switch (_statement.Opcode)
        {
            case "mov":
                Move();
                break;
            case "cvta":
                ConvertAddress();
                break;
            case "add" or "sub" or "mul" or "mad" or "fma" or "min" or "max" or "div" or "rem" or "neg" or "abs" or "copysign":
                Arithmetic();
                break;
            case "and" or "or" or "xor" or "not" or "cnot" or "shl" or "shr":
                Logic();
                break;
            case "mul24" or "mad24" or "sad" or "popc" or "clz" or "brev" or "bfind" or "bfe" or "bfi" or "prmt" or "lop3" or "shf":
                Bits();
                break;
            case "setp" or "set":
                SetPredicate();
                break;
            case "selp":
                Select();
                break;
            case "slct":
                SelectBySign();
                break;
            case "testp":
                TestFloat();
                break;
            case "cvt":
                Convert();
                break;
            case "ex2" or "lg2" or "rcp" or "rsqrt" or "sqrt" or "sin" or "cos" or "tanh":
                Special();
                break;
            case "ld" or "ldu" or "st":
                Access();
                break;
            case "atom" or "red":
                Atomic();
                break;
            case "cp":
                CopyAsync();
                break;
            case "ldmatrix":
                LoadMatrix();
                break;
            case "mma":
                Multiply();
                break;
            case "shfl":
                Shuffle();
                break;
            case "vote" or "activemask" or "match" or "redux":
                Vote();
                break;
            case "bar" or "barrier":
                Barrier();
                break;
            case "membar" or "fence" or "prefetch" or "prefetchu" or "nanosleep":
                Nothing();
                break;
            case "bra":
                Operands(1);
                _i.Uniform = _statement.Take("uni");
                _i.Class = PtxOpClass.Branch;
                _i.Execute = &Warp.Branch;
                break;
            case "brx":
                Operands(2);
                RequireModifier("idx");
                _i.Uniform = _statement.Take("uni");
                _i.A = Source(0, 32);
                _i.Class = PtxOpClass.Branch;
                _i.Execute = &Warp.BranchTable;
                break;
            case "ret" or "exit":
                Operands(0);
                _statement.Take("uni");
                _i.IsExit = true;
                _i.Class = PtxOpClass.Branch;
                _i.Execute = &Warp.Exit;
                break;
            case "trap":
                Operands(0);
                _i.Class = PtxOpClass.Other;
                _i.Execute = &Warp.Trap;
                break;
            default:
                throw Error($"unknown instruction {_statement.Opcode}");
        }
    }

    private PtxException Error(string problem) => _statement.Error(problem);

    private void Operands(int count)
    {
        if (_statement.Operands.Count != count)
        {
            throw Error($"{_statement.Opcode} has {count} operands here, not {_statement.Operands.Count}");
        }
    }

    private void RequireModifier(params ReadOnlySpan<string> names)
    {
        if (_statement.TakeAny(names) is null)
        {
            throw Error($"{_statement.Opcode} needs .{string.Join(" or .", names.ToArray())}");
        }
    }

    // Slot of a destination register; -1 for a sink.
    private int Destination(int index, int bits) => Destination(_statement.Operand(index), bits);

    private int Destination(PtxOperand operand, int bits, bool atLeast = false)
    {
        if (operand.Kind == PtxOperandKind.Sink)
        {
            return -1;
        }
        PtxRegister register = RegisterOf(operand, bits, atLeast);
        if (operand.Negated)
        {
            throw Error("a destination cannot be negated");
        }
        _i.Writes.Add(register);
        return register.Slot;
    }

    private void SetDestination(int bits)
    {
        _i.D = Destination(0, bits);
        if (_i.D < 0)
        {
            throw Error("the result needs a register");
        }
        _i.DWide = bits == 64;
        _i.DMask = bits == 64 ? ulong.MaxValue : (1ul << bits) - 1;
    }

    private PtxRegister RegisterOf(PtxOperand operand, int bits, bool atLeast = false)
    {
        if (operand.Register is not PtxRegister register || operand.Kind != PtxOperandKind.Register)
        {
            throw Error(operand.Kind == PtxOperandKind.Word ? $"{operand.Name} is not declared" : "an operand must be a register");
        }
        if (register.Bits != bits && !(atLeast && register.Bits > bits && bits > 1))
        {
            throw Error($"{register.Name} has {register.Bits} bits, not {bits}");
        }
        return register;
    }

    private int Source(int index, int bits) => Source(_statement.Operand(index), bits);

    // Slot of a source of any kind: register, constant, special register, address of a symbol.
    private int Source(PtxOperand operand, int bits, bool isFloat = false, bool atLeast = false)
    {
        bool wide = bits == 64;
        switch (operand.Kind)
        {
            case PtxOperandKind.Register:
                PtxRegister register = RegisterOf(operand, bits, atLeast);
                if (operand.Negated)
                {
                    throw Error("a predicate is not expected here");
                }
                _i.Reads.Add(register);
                return register.Slot;
            case PtxOperandKind.Integer when !isFloat:
                return _entry.Constant(operand.Value & Mask(bits), wide);
            case PtxOperandKind.Integer when operand.Value == 0:
                return _entry.Constant(0, wide);
            case PtxOperandKind.Single when bits == 32:
                return _entry.Constant(operand.Value, false);
            case PtxOperandKind.Double when wide:
                return _entry.Constant(operand.Value, true);
            case PtxOperandKind.Double when bits == 32:
                return _entry.Constant(BitConverter.SingleToUInt32Bits((float)BitConverter.UInt64BitsToDouble(operand.Value)), false);
            case PtxOperandKind.Word:
                if (_entry.Symbol(operand.Name) is (PtxSpace, int) symbol && bits >= 32)
                {
                    return _entry.Constant((ulong)symbol.Offset, wide);
                }
                if (bits == 32 && _entry.Special(operand.Name) is int special)
                {
                    return special;
                }
                throw Error(operand.Name.StartsWith('%')
                    ? $"{operand.Name} is not declared and no special register of {bits} bits that the emulator has"
                    : $"{operand.Name} is not declared");
            default:
                throw Error($"operand {operand.Name} does not fit {bits} bits");
        }
    }

    private int PredicateSource(PtxOperand operand, out bool negated)
    {
        PtxRegister register = RegisterOf(operand, 1);
        negated = operand.Negated;
        _i.Reads.Add(register);
        return register.Slot;
    }

    // A, B and C from the operands that begin at first, all of one width.
    private void SetSources(int first, int count, int bits, bool isFloat = false)
    {
        bool wide = bits == 64;
        if (count > 0)
        {
            (_i.A, _i.AWide) = (Source(_statement.Operand(first), bits, isFloat), wide);
        }
        if (count > 1)
        {
            (_i.B, _i.BWide) = (Source(_statement.Operand(first + 1), bits, isFloat), wide);
        }
        if (count > 2)
        {
            (_i.C, _i.CWide) = (Source(_statement.Operand(first + 2), bits, isFloat), wide);
        }
    }

    private void SetScalar(Func<ulong, ulong, ulong, ulong> scalar)
    {
        _i.Scalar = scalar;
        _i.Execute = &Warp.Scalar;
    }

    private static ulong Mask(int bits) => bits == 64 ? ulong.MaxValue : (1ul << bits) - 1;

    private static long Signed(ulong value, int bits) => (long)(value << (64 - bits)) >> (64 - bits);

    private static float Single(ulong bits) => BitConverter.UInt32BitsToSingle((uint)bits);

    private static double Double(ulong bits) => BitConverter.UInt64BitsToDouble(bits);

    // Results of arithmetic: every NaN is the canonical one of the device.
    private static ulong Bits(float value) => float.IsNaN(value) ? 0x7fff_fffful : BitConverter.SingleToUInt32Bits(value);

    private static ulong Bits(double value) => double.IsNaN(value) ? 0x7fff_ffff_ffff_fffful : BitConverter.DoubleToUInt64Bits(value);

    private static float Flush(float value) => float.IsSubnormal(value) ? MathF.CopySign(0, value) : value;

    private static float Saturate(float value) => value > 0 ? Math.Min(value, 1) : 0;
}
