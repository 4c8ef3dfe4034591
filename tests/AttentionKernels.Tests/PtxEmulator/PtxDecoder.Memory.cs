namespace AttentionKernels.Tests.PtxEmulator;

internal sealed unsafe partial class PtxDecoder
{
    private PtxSpace TakeSpace()
    {
        string? name = _statement.TakeAny("global", "shared", "shared::cta", "local", "param", "const");
        return name switch
        {
            null => PtxSpace.Generic,
            "global" => PtxSpace.Global,
            "local" => PtxSpace.Local,
            "param" => PtxSpace.Parameter,
            "const" => throw Error("constant memory is not supported"),
            _ => PtxSpace.Shared,
        };
    }

    // ld, ldu, st
    private void Access()
    {
        bool load = _statement.Opcode != "st";
        _i.Type = _statement.TakeType();
        int count = _statement.TakeAny("v2", "v4") switch { "v2" => 2, "v4" => 4, _ => 1 };
        _i.Space = TakeSpace();
        bool readOnly = load && _statement.Take("nc");
        _i.Constant = readOnly;
        _i.Strong = _statement.TakeAny("volatile", "relaxed", "acquire", "release") is not null;
        _statement.TakeAny("weak");
        _statement.TakeAny("cta", "gpu", "sys", "cluster");
        IgnoreCacheHints();
        Operands(2);
        if (_i.Type.Kind == 'p' || _i.Type.Pair || _i.Type.Kind is 'h' or 't' || _i.Type.Bytes * count > 16)
        {
            throw Error($"ld and st have no {count} elements of {_i.Type}");
        }
        if (readOnly && _i.Space != PtxSpace.Global)
        {
            throw Error(".nc is for global memory");
        }
        PtxOperand data = _statement.Operand(load ? 0 : 1);
        PtxOperand[] elements = data.Kind == PtxOperandKind.Vector ? data.Items : [data];
        if (elements.Length != count)
        {
            throw Error($"{elements.Length} registers for {count} elements");
        }
        int least = Math.Max(16, _i.Type.Bits);
        PtxRegister? first = elements.Select(element => element.Register).FirstOrDefault(register => register is not null);
        _i.VectorBits = first?.Bits ?? (_i.Type.Bits == 64 ? 64 : 32);
        if (elements.Any(element => element.Register is PtxRegister register && register.Bits != _i.VectorBits))
        {
            throw Error("the elements of a vector have one size");
        }
        if (load)
        {
            _i.Destinations = [.. elements.Select(element => Destination(element, least, true))];
        }
        else
        {
            _i.Sources = [.. elements.Select(element => Source(element, element.Register?.Bits ?? _i.VectorBits, _i.Type.IsFloat))];
            if (_i.VectorBits < _i.Type.Bits)
            {
                throw Error($"{_i.VectorBits} bits for a store of {_i.Type}");
            }
        }
        PtxOperand address = _statement.Operand(load ? 1 : 0);
        if (_i.Space == PtxSpace.Parameter)
        {
            LoadParameter(address, load, count);
            return;
        }
        SetAddress(address);
        _i.Class = (_i.Space, load) switch
        {
            (PtxSpace.Shared, true) => PtxOpClass.LoadShared,
            (PtxSpace.Shared, false) => PtxOpClass.StoreShared,
            (PtxSpace.Local, _) => PtxOpClass.Local,
            (_, true) => PtxOpClass.LoadGlobal,
            _ => PtxOpClass.StoreGlobal,
        };
        _i.Execute = load ? &Warp.Load : &Warp.Store;
    }

    private void LoadParameter(PtxOperand address, bool load, int count)
    {
        _i.Class = PtxOpClass.Move;
        if (!load || address.Kind != PtxOperandKind.Address || _entry.Parameter(address.Items[0].Name) is not PtxParameter parameter)
        {
            throw Error("a parameter of the entry is expected");
        }
        long offset = (long)address.Value;
        int bytes = _i.Type.Bytes * count;
        if (offset < 0 || offset + bytes > parameter.Size)
        {
            throw Error($"{bytes} bytes at offset {offset} leave parameter {parameter.Name} of {parameter.Size} bytes");
        }
        if ((parameter.Offset + offset) % bytes != 0)
        {
            throw Error($"offset {offset} of parameter {parameter.Name} is not aligned to {bytes} bytes");
        }
        if (_i.Destinations.Contains(-1))
        {
            throw Error("the result needs a register");
        }
        _i.Immediate = parameter.Offset + offset;
        _i.Execute = &Warp.LoadParameter;
    }

    // [register], [register + offset], [symbol + offset] or [number]
    private void SetAddress(PtxOperand address) => (_i.A, _i.AWide, _i.Immediate) = AddressOf(address, _i.Space);

    private (int Slot, bool Wide, long Offset) AddressOf(PtxOperand address, PtxSpace space)
    {
        if (address.Kind != PtxOperandKind.Address)
        {
            throw Error("an address in brackets is expected");
        }
        PtxOperand start = address.Items[0];
        switch (start.Kind)
        {
            case PtxOperandKind.Register:
                PtxRegister register = start.Register!;
                if (register.Bits < 32 || (register.Bits == 32 && space is PtxSpace.Global or PtxSpace.Generic))
                {
                    throw Error($"{register.Name} of {register.Bits} bits is no address");
                }
                _i.Reads.Add(register);
                return (register.Slot, register.Bits == 64, (long)address.Value);
            case PtxOperandKind.Word when _entry.Symbol(start.Name) is (PtxSpace, int) symbol:
                if (symbol.Space != space)
                {
                    throw Error($"{start.Name} is not in this state space");
                }
                return (_entry.Constant((ulong)symbol.Offset, true), true, (long)address.Value);
            case PtxOperandKind.Integer:
                return (_entry.Constant(start.Value, true), true, (long)address.Value);
            default:
                throw Error($"{start.Name} is not declared");
        }
    }

    // Hints for caches change no result.
    private void IgnoreCacheHints()
    {
        _statement.TakeAny("ca", "cg", "cs", "lu", "cv", "wb", "wt");
        _statement.TakeAny("L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last", "L1::no_allocate");
        _statement.TakeAny("L2::64B", "L2::128B", "L2::256B");
    }

    private void Atomic()
    {
        _i.Class = PtxOpClass.Atomic;
        bool returns = _statement.Opcode == "atom";
        PtxType type = _statement.TakeType();
        _i.Type = type;
        _i.Space = TakeSpace();
        _statement.TakeAny("relaxed", "acquire", "release", "acq_rel");
        _statement.TakeAny("cta", "gpu", "sys");
        _statement.TakeAny("noftz");
        string operation = _statement.TakeAny("add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec") ?? throw Error("an atomic operation is missing");
        int bits = type.RegisterBits;
        if (type.Kind is 'p' or 't' || bits < 16 || _i.Space is PtxSpace.Local or PtxSpace.Parameter || (!returns && operation is "exch" or "cas"))
        {
            throw Error($"{_statement.Opcode}.{operation} is not supported in this form");
        }
        int first = returns ? 1 : 0;
        Operands(first + (operation == "cas" ? 3 : 2));
        if (returns)
        {
            _i.D = Destination(0, bits);
            _i.DWide = bits == 64;
        }
        SetAddress(_statement.Operand(first));
        (_i.B, _i.BWide) = (Source(_statement.Operand(first + 1), bits, type.IsFloat), bits == 64);
        if (operation == "cas")
        {
            (_i.C, _i.CWide) = (Source(first + 2, bits), bits == 64);
        }
        _i.Scalar = AtomicOperation(operation, type);
        _i.Execute = &Warp.Atomic;
    }

    private Func<ulong, ulong, ulong, ulong> AtomicOperation(string operation, PtxType type)
    {
        int bits = type.Bits;
        bool signed = type.IsSigned;
        return (operation, type.Kind) switch
        {
            ("add", 'u' or 's') => (old, b, _) => old + b,
            ("add", 'f') when bits == 64 => (old, b, _) => Bits(Double(old) + Double(b)),
            ("add", 'f') when bits == 32 => (old, b, _) => Bits(Flush(Flush(Single(old)) + Flush(Single(b)))),
            ("add", 'f' or 'h') => EachHalf(type, (old, b, _) => NarrowFloat.To(type, (double)NarrowFloat.From(type, old) + NarrowFloat.From(type, b))),
            ("min", 'u' or 's') => signed ? (old, b, _) => Signed(old, bits) < Signed(b, bits) ? old : b : (old, b, _) => Math.Min(old, b),
            ("max", 'u' or 's') => signed ? (old, b, _) => Signed(old, bits) > Signed(b, bits) ? old : b : (old, b, _) => Math.Max(old, b),
            ("and", 'b') => (old, b, _) => old & b,
            ("or", 'b') => (old, b, _) => old | b,
            ("xor", 'b') => (old, b, _) => old ^ b,
            ("exch", 'b') => (_, b, _) => b,
            ("cas", 'b') => (old, b, c) => old == b ? c : old,
            ("inc", 'u') when bits == 32 => (old, b, _) => old >= b ? 0 : old + 1,
            ("dec", 'u') when bits == 32 => (old, b, _) => old == 0 || old > b ? b : old - 1,
            _ => throw Error($".{operation} has no type {type}"),
        };
    }

    // cp.async, its groups
    private void CopyAsync()
    {
        RequireModifier("async");
        if (_statement.Take("commit_group"))
        {
            Operands(0);
            _i.Class = PtxOpClass.Other;
            _i.Execute = &Warp.CommitGroup;
            return;
        }
        if (_statement.Take("wait_all"))
        {
            Operands(0);
            _i.Class = PtxOpClass.Other;
            _i.Immediate = -1;
            _i.Execute = &Warp.WaitGroup;
            return;
        }
        if (_statement.Take("wait_group"))
        {
            Operands(1);
            _i.Class = PtxOpClass.Other;
            _i.Immediate = _statement.Operand(0) is { Kind: PtxOperandKind.Integer, Value: <= 1 << 20 } count
                ? (long)count.Value : throw Error("cp.async.wait_group needs a constant");
            _i.Execute = &Warp.WaitGroup;
            return;
        }
        _i.Class = PtxOpClass.AsyncCopy;
        string cache = _statement.TakeAny("ca", "cg") ?? throw Error("cp.async needs .ca or .cg");
        RequireModifier("shared", "shared::cta");
        RequireModifier("global");
        IgnoreCacheHints();
        _i.Immediate = _statement.Operand(2) is { Kind: PtxOperandKind.Integer } size ? (long)size.Value : throw Error("the size must be a constant");
        if (!(_i.Immediate == 16 || (cache == "ca" && _i.Immediate is 4 or 8)))
        {
            throw Error($"cp.async.{cache} copies {(cache == "cg" ? "16" : "4, 8 or 16")} bytes, not {_i.Immediate}");
        }
        (_i.A, _i.AWide, _i.OffsetA) = AddressOf(_statement.Operand(0), PtxSpace.Shared);
        (_i.B, _i.BWide, _i.OffsetB) = AddressOf(_statement.Operand(1), PtxSpace.Global);
        if (_statement.Operands.Count == 4)
        {
            PtxOperand last = _statement.Operand(3);
            if (last.Register?.Bits == 1)
            {
                _i.Sources = [PredicateSource(last, out _i.NegatedC)];
            }
            else
            {
                _i.C = Source(last, 32);
            }
        }
        else
        {
            Operands(3);
        }
        _i.Execute = &Warp.CopyAsync;
    }

    private void Nothing()
    {
        _i.Class = PtxOpClass.Other;
        string opcode = _statement.Opcode;
        if (opcode is "prefetch" or "prefetchu")
        {
            _statement.TakeAny("global", "local");
            RequireModifier("L1", "L2", "L2::evict_last", "L2::evict_normal");
            Operands(1);
            AddressOf(_statement.Operand(0), PtxSpace.Generic);
        }
        else if (opcode == "nanosleep")
        {
            _statement.TakeType();
            Operands(1);
            Source(0, 32);
        }
        else
        {
            _statement.TakeAny("sc", "acq_rel");
            RequireModifier("cta", "gl", "gpu", "sys");
            Operands(0);
        }
        _i.Execute = &Warp.Nothing;
    }
}
