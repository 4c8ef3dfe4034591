using System.Numerics;

namespace AttentionKernels.Tests.PtxEmulator;

internal sealed unsafe partial class PtxDecoder
{
    private void Move()
    {
        _i.Class = PtxOpClass.Move;
        PtxType type = _statement.TakeType();
        Operands(2);
        PtxOperand source = _statement.Operand(1);
        if (type.Kind == 'p')
        {
            _i.D = Destination(0, 1);
            if (source.Kind == PtxOperandKind.Integer)
            {
                (_i.A, _i.Mode, _i.NegatedA) = (_i.D, 'c', source.Value != 0);
            }
            else
            {
                _i.A = PredicateSource(source, out _i.NegatedA);
                _i.Mode = 'm';
            }
            _i.Class = PtxOpClass.Compare;
            _i.Execute = &Warp.PredicateLogic;
        }
        else if (source.Kind == PtxOperandKind.Vector)
        {
            SetDestination(type.RegisterBits);
            _i.VectorBits = type.RegisterBits / source.Items.Length;
            RequirePacking(type, source);
            _i.Sources = [.. source.Items.Select(item => Source(item, _i.VectorBits))];
            _i.Execute = &Warp.Pack;
        }
        else if (_statement.Operand(0).Kind == PtxOperandKind.Vector)
        {
            PtxOperand target = _statement.Operand(0);
            _i.VectorBits = type.RegisterBits / target.Items.Length;
            RequirePacking(type, target);
            (_i.A, _i.AWide) = (Source(1, type.RegisterBits), type.RegisterBits == 64);
            _i.Destinations = [.. target.Items.Select(item => Destination(item, _i.VectorBits))];
            _i.Execute = &Warp.Unpack;
        }
        else
        {
            SetDestination(type.RegisterBits);
            SetSources(1, 1, type.RegisterBits);
            _i.Execute = type.RegisterBits == 64 ? &Warp.Move64 : &Warp.Move32;
        }
    }

    private void RequirePacking(PtxType type, PtxOperand vector)
    {
        if (vector.Items.Length is not (2 or 4) || _i.VectorBits is not (16 or 32) || type.RegisterBits < 32)
        {
            throw Error("a mov of vectors has two or four elements of 16 or 32 bits");
        }
    }

    // cvta.space: address of a space to generic; cvta.to.space: back.
    private void ConvertAddress()
    {
        _i.Class = PtxOpClass.Move;
        PtxType type = _statement.TakeType();
        Operands(2);
        bool to = _statement.Take("to");
        PtxSpace space = TakeSpace();
        if (type.RegisterBits != 64 || space is PtxSpace.Generic or PtxSpace.Parameter)
        {
            throw Error("cvta converts 64-bit addresses of global, shared or local memory");
        }
        SetDestination(64);
        SetSources(1, 1, 64);
        ulong start = AddressWindows.Base(space);
        if (start == 0)
        {
            _i.Execute = &Warp.Move64;
        }
        else
        {
            SetScalar(to ? (a, _, _) => a - start : (a, _, _) => a + start);
        }
    }

    private void Arithmetic()
    {
        PtxType type = _statement.TakeType();
        if (type.IsFloat)
        {
            FloatArithmetic(type);
            return;
        }
        int bits = type.Bits;
        bool signed = type.IsSigned;
        string opcode = _statement.Opcode;
        if (type.Kind == 'b' || bits is not (16 or 32 or 64))
        {
            throw Error($"{opcode} has no type {type}");
        }
        string? part = opcode is "mul" or "mad" ? _statement.TakeAny("lo", "hi", "wide") : null;
        if (opcode is "mul" or "mad" && part is null)
        {
            throw Error($"{opcode} needs .lo, .hi or .wide");
        }
        bool saturate = opcode is "add" or "sub" && _statement.Take("sat");
        if (saturate && type is not { Kind: 's', Bits: 32 })
        {
            throw Error(".sat is for s32 only");
        }
        int sources = opcode switch
        {
            "neg" or "abs" => 1,
            "mad" => 3,
            _ => 2,
        };
        Operands(sources + 1);
        int resultBits = part == "wide" ? 2 * bits : bits;
        if (resultBits > 64)
        {
            throw Error("there is no wide product of 64 bits");
        }
        SetDestination(resultBits);
        SetSources(1, Math.Min(2, sources), bits);
        if (sources == 3)
        {
            (_i.C, _i.CWide) = (Source(3, resultBits), resultBits == 64);
        }
        SetScalar((opcode, part) switch
        {
            ("add", _) when saturate => (a, b, _) => (ulong)Math.Clamp(Signed(a, 32) + Signed(b, 32), int.MinValue, int.MaxValue),
            ("sub", _) when saturate => (a, b, _) => (ulong)Math.Clamp(Signed(a, 32) - Signed(b, 32), int.MinValue, int.MaxValue),
            ("add", _) => (a, b, _) => a + b,
            ("sub", _) => (a, b, _) => a - b,
            ("mul", "lo") => (a, b, _) => a * b,
            ("mad", "lo") => (a, b, c) => (a * b) + c,
            ("mul", "wide") => (a, b, _) => Wide(a, b),
            ("mad", "wide") => (a, b, c) => Wide(a, b) + c,
            ("mul", "hi") => (a, b, _) => High(a, b),
            ("mad", "hi") => (a, b, c) => High(a, b) + c,
            ("min", _) => signed ? (a, b, _) => Signed(a, bits) < Signed(b, bits) ? a : b : (a, b, _) => Math.Min(a, b),
            ("max", _) => signed ? (a, b, _) => Signed(a, bits) > Signed(b, bits) ? a : b : (a, b, _) => Math.Max(a, b),
            // The device does not trap: a division by zero gives all ones, its remainder the dividend.
            ("div", _) => (a, b, _) => b == 0 ? ulong.MaxValue : signed ? Divide(a, b) : a / b,
            ("rem", _) => (a, b, _) => b == 0 ? a : signed ? a - (Divide(a, b) * (ulong)Signed(b, bits)) : a % b,
            ("neg", _) when signed => (a, _, _) => 0 - a,
            ("abs", _) when signed => (a, _, _) => Signed(a, bits) < 0 ? 0 - a : a,
            _ => throw Error($"{opcode} has no type {type}"),
        });
        ulong Wide(ulong a, ulong b) => signed ? (ulong)(Signed(a, bits) * Signed(b, bits)) : a * b;
        ulong High(ulong a, ulong b) => bits < 64 ? Wide(a, b) >> bits
            : signed ? (ulong)Math.BigMul((long)a, (long)b, out _) : Math.BigMul(a, b, out _);
        ulong Divide(ulong a, ulong b) => Signed(b, bits) == -1 ? 0 - a : (ulong)(Signed(a, bits) / Signed(b, bits));
        UseVectorForm(opcode, part, bits, signed, saturate);
    }

    private void UseVectorForm(string opcode, string? part, int bits, bool signed, bool saturate)
    {
        if (saturate)
        {
            return;
        }
        switch (opcode, part, bits)
        {
            case ("add", _, 32):
                _i.Execute = &Warp.Add32;
                break;
            case ("sub", _, 32):
                _i.Execute = &Warp.Subtract32;
                break;
            case ("mul", "lo", 32):
                _i.Execute = &Warp.Multiply32;
                break;
            case ("mad", "lo", 32):
                _i.Execute = &Warp.MultiplyAdd32;
                break;
            case ("min", _, 32) when signed:
                _i.Execute = &Warp.MinS32;
                break;
            case ("max", _, 32) when signed:
                _i.Execute = &Warp.MaxS32;
                break;
            case ("add", _, 64):
                _i.Execute = &Warp.Add64;
                break;
            case ("mul", "lo", 64):
                _i.Execute = &Warp.Multiply64;
                break;
            case ("mad", "lo", 64):
                _i.Execute = &Warp.MultiplyAdd64;
                break;
        }
    }

    private void Logic()
    {
        PtxType type = _statement.TakeType();
        string opcode = _statement.Opcode;
        bool unary = opcode is "not" or "cnot";
        Operands(unary ? 2 : 3);
        if (type.Kind == 'p')
        {
            _i.Class = PtxOpClass.Compare;
            _i.D = Destination(0, 1);
            _i.A = PredicateSource(_statement.Operand(1), out _i.NegatedA);
            if (!unary)
            {
                _i.B = PredicateSource(_statement.Operand(2), out _i.NegatedC);
            }
            _i.Mode = opcode switch
            {
                "and" => '&',
                "or" => '|',
                "xor" => '^',
                "not" => '!',
                _ => throw Error($"{opcode} has no type pred"),
            };
            _i.Execute = &Warp.PredicateLogic;
            return;
        }
        int bits = type.Bits;
        bool shift = opcode is "shl" or "shr";
        if (type.IsFloat || bits < 16 || (type.Kind != 'b' && opcode != "shr"))
        {
            throw Error($"{opcode} has no type {type}");
        }
        SetDestination(bits);
        SetSources(1, unary || shift ? 1 : 2, bits);
        if (shift)
        {
            _i.B = Source(2, 32);
        }
        SetScalar(opcode switch
        {
            "and" => (a, b, _) => a & b,
            "or" => (a, b, _) => a | b,
            "xor" => (a, b, _) => a ^ b,
            "not" => (a, _, _) => ~a,
            "cnot" => (a, _, _) => a == 0 ? 1u : 0,
            // Amounts beyond the width count as the width.
            "shl" => (a, b, _) => b >= (uint)bits ? 0 : a << (int)b,
            _ => type.IsSigned
                ? (a, b, _) => (ulong)(Signed(a, bits) >> (int)Math.Min(b, (uint)bits - 1))
                : (a, b, _) => b >= (uint)bits ? 0 : a >> (int)b,
        });
        bool constant = shift && _statement.Operand(2) is { Kind: PtxOperandKind.Integer } amount && amount.Value < (uint)bits;
        _i.Immediate = constant ? (long)_statement.Operand(2).Value : 0;
        switch (opcode, bits)
        {
            case ("and", 32):
                _i.Execute = &Warp.And32;
                break;
            case ("or", 32):
                _i.Execute = &Warp.Or32;
                break;
            case ("xor", 32):
                _i.Execute = &Warp.Xor32;
                break;
            case ("shl", 32) when constant:
                _i.Execute = &Warp.ShiftLeft32;
                break;
            case ("shl", 64) when constant:
                _i.Execute = &Warp.ShiftLeft64;
                break;
            case ("shr", 32) when constant:
                _i.Execute = type.IsSigned ? &Warp.ShiftRightS32 : &Warp.ShiftRightU32;
                break;
        }
    }

    private void Bits()
    {
        string opcode = _statement.Opcode;
        if (opcode == "shf")
        {
            FunnelShift();
            return;
        }
        string? part = opcode is "mul24" or "mad24" ? _statement.TakeAny("lo", "hi") : null;
        bool shiftAmount = opcode == "bfind" && _statement.Take("shiftamt");
        string? mode = opcode == "prmt" ? _statement.TakeAny("f4e", "b4e", "rc8", "ecl", "ecr", "rc16") : null;
        PtxType type = _statement.TakeType();
        int bits = type.Bits;
        if (type.IsFloat || bits is not (32 or 64 or 16) || (bits == 16 && opcode != "sad") || (mode is not null))
        {
            throw Error($"{opcode} is not supported in this form");
        }
        int sources = opcode switch
        {
            "popc" or "clz" or "brev" or "bfind" => 1,
            "mul24" => 2,
            "bfi" or "lop3" => 4,
            _ => 3,
        };
        Operands(sources + 1);
        SetDestination(opcode is "popc" or "clz" or "bfind" ? 32 : bits);
        switch (opcode)
        {
            case "bfe":
                SetSources(1, 1, bits);
                (_i.B, _i.C) = (Source(2, 32), Source(3, 32));
                SetScalar((a, b, c) => Extract(a, (int)(b & 255), (int)(c & 255), bits, type.IsSigned));
                break;
            case "bfi":
                // D gets a copy of the second source first: four sources, one of them through a constant position.
                BitFieldInsert(bits);
                break;
            case "lop3":
                SetSources(1, 3, 32);
                ulong table = _statement.Operand(4) is { Kind: PtxOperandKind.Integer, Value: < 256 } lut ? lut.Value : throw Error("lop3 needs a table of 8 bits");
                SetScalar((a, b, c) => Lookup(a, b, c, table));
                break;
            case "prmt":
                SetSources(1, 3, 32);
                SetScalar(Permute);
                break;
            default:
                SetSources(1, sources, bits);
                SetScalar(opcode switch
                {
                    "popc" => (a, _, _) => (ulong)BitOperations.PopCount(a),
                    "clz" => (a, _, _) => (ulong)(BitOperations.LeadingZeroCount(a) - (64 - bits)),
                    "brev" => (a, _, _) => Reverse(a) >> (64 - bits),
                    "bfind" => (a, _, _) => FindHighest(a, bits, type.IsSigned, shiftAmount),
                    "sad" => type.IsSigned
                        ? (a, b, c) => c + (ulong)Math.Abs(Signed(a, bits) - Signed(b, bits))
                        : (a, b, c) => c + Math.Max(a, b) - Math.Min(a, b),
                    "mul24" => (a, b, _) => Product24(a, b, part, type.IsSigned),
                    _ => (a, b, c) => Product24(a, b, part, type.IsSigned) + c,
                });
                break;
        }
    }

    private void BitFieldInsert(int bits)
    {
        // bfi d, a, b, position, length: position and length must be constants, so that three sources are enough.
        PtxOperand position = _statement.Operand(3);
        PtxOperand length = _statement.Operand(4);
        SetSources(1, 2, bits);
        if (position.Kind == PtxOperandKind.Integer && length.Kind == PtxOperandKind.Integer)
        {
            int p = (int)(position.Value & 255);
            int n = (int)(length.Value & 255);
            SetScalar((a, b, _) => Insert(a, b, p, n, bits));
        }
        else if (length.Kind == PtxOperandKind.Integer)
        {
            int n = (int)(length.Value & 255);
            _i.C = Source(3, 32);
            SetScalar((a, b, c) => Insert(a, b, (int)(c & 255), n, bits));
        }
        else
        {
            throw Error("bfi needs a constant length here");
        }
    }

    private void FunnelShift()
    {
        bool left = _statement.TakeAny("l", "r") is string direction ? direction == "l" : throw Error("shf needs .l or .r");
        bool wrap = _statement.TakeAny("wrap", "clamp") is string mode ? mode == "wrap" : throw Error("shf needs .wrap or .clamp");
        if (_statement.TakeType() is not { Kind: 'b', Bits: 32 })
        {
            throw Error("shf is for b32");
        }
        Operands(4);
        SetDestination(32);
        SetSources(1, 3, 32);
        SetScalar((a, b, c) =>
        {
            int n = wrap ? (int)(c & 31) : (int)Math.Min(c, 32);
            ulong both = (b << 32) | a;
            return left ? (n == 32 ? a : (both << n) >> 32) : both >> n;
        });
    }

    private static ulong Extract(ulong a, int position, int length, int bits, bool signed)
    {
        ulong result = 0;
        int last = Math.Min(position + length - 1, bits - 1);
        bool sign = signed && length > 0 && (a >> last & 1) != 0;
        for (int i = 0; i < bits; i++)
        {
            bool bit = i < length && position + i < bits ? (a >> (position + i) & 1) != 0 : sign;
            result |= bit ? 1ul << i : 0;
        }
        return result;
    }

    private static ulong Insert(ulong a, ulong b, int position, int length, int bits)
    {
        for (int i = 0; i < length && position + i < bits; i++)
        {
            ulong bit = 1ul << (position + i);
            b = (a >> i & 1) != 0 ? b | bit : b & ~bit;
        }
        return b;
    }

    private static ulong Lookup(ulong a, ulong b, ulong c, ulong table)
    {
        ulong result = 0;
        for (int i = 0; i < 32; i++)
        {
            int index = (int)((a >> i & 1) << 2 | (b >> i & 1) << 1 | (c >> i & 1));
            result |= (table >> index & 1) << i;
        }
        return result;
    }

    private static ulong Permute(ulong a, ulong b, ulong selectors)
    {
        ulong bytes = (b << 32) | a;
        ulong result = 0;
        for (int i = 0; i < 4; i++)
        {
            int selector = (int)(selectors >> (4 * i) & 15);
            ulong value = bytes >> (8 * (selector & 7)) & 255;
            if ((selector & 8) != 0)
            {
                value = (value & 128) != 0 ? 255u : 0;   // the sign of the byte, in all its bits
            }
            result |= value << (8 * i);
        }
        return result;
    }

    private static ulong Reverse(ulong a)
    {
        ulong result = 0;
        for (int i = 0; i < 64; i++)
        {
            result |= (a >> i & 1) << (63 - i);
        }
        return result;
    }

    private static ulong FindHighest(ulong a, int bits, bool signed, bool shiftAmount)
    {
        if (signed && Signed(a, bits) < 0)
        {
            a = ~a & Mask(bits);
        }
        if (a == 0)
        {
            return uint.MaxValue;
        }
        int highest = BitOperations.Log2(a);
        return (ulong)(shiftAmount ? bits - 1 - highest : highest);
    }

    private static ulong Product24(ulong a, ulong b, string? part, bool signed)
    {
        ulong product = signed ? (ulong)(Signed(a & 0xff_ffff, 24) * Signed(b & 0xff_ffff, 24)) : (a & 0xff_ffff) * (b & 0xff_ffff);
        return part == "hi" ? product >> 16 : product;
    }

    private void SetPredicate()
    {
        _i.Class = PtxOpClass.Compare;
        bool isSet = _statement.Opcode == "set";
        PtxType type = _statement.TakeType();
        PtxType result = isSet ? _statement.TakeType() : default;
        bool flush = _statement.Take("ftz");
        string? combination = _statement.TakeAny("and", "or", "xor");
        string comparison = _statement.Modifiers.Count > 0 ? _statement.Modifiers[0] : throw Error("a comparison is missing");
        _statement.Take(comparison);
        int count = combination is null ? 3 : 4;
        Operands(count);
        if (type is { Kind: 'p' or 't' } or { Pair: true } || type.Bits < 16)
        {
            throw Error($"comparisons of {type} are not supported");
        }
        SetSources(1, 2, type.Bits, type.IsFloat);
        _i.Compare = type.IsFloat ? FloatComparison(comparison, type, flush) : IntegerComparison(comparison, type);
        if (combination is not null)
        {
            _i.C = PredicateSource(_statement.Operand(3), out _i.NegatedC);
            _i.Mode = combination switch { "and" => '&', "or" => '|', _ => '^' };
        }
        if (isSet)
        {
            if (combination is not null || result.Bits != 32 || result.Pair)
            {
                throw Error("set gives 32 bits and combines with no predicate");
            }
            SetDestination(32);
            Func<ulong, ulong, bool> compare = _i.Compare;
            ulong one = result.IsFloat ? 0x3f80_0000ul : uint.MaxValue;
            SetScalar((a, b, _) => compare(a, b) ? one : 0);
            return;
        }
        PtxOperand target = _statement.Operand(0);
        _i.D = Destination(target.Kind == PtxOperandKind.Pair ? target.Items[0] : target, 1);
        _i.D2 = target.Kind == PtxOperandKind.Pair ? Destination(target.Items[1], 1) : -1;
        _i.Flush = flush;
        _i.Execute = (comparison, type.Kind, type.Bits) switch
        {
            ("eq", 'b' or 'u' or 's', 32) => &Warp.EqualU32,
            ("ne", 'b' or 'u' or 's', 32) => &Warp.NotEqualU32,
            ("lt", 's', 32) => &Warp.LessS32,
            ("le", 's', 32) => &Warp.LessOrEqualS32,
            ("gt", 's', 32) => &Warp.GreaterS32,
            ("ge", 's', 32) => &Warp.GreaterOrEqualS32,
            ("lt" or "lo", 'u', 32) => &Warp.LessU32,
            ("le" or "ls", 'u', 32) => &Warp.LessOrEqualU32,
            ("gt" or "hi", 'u', 32) => &Warp.GreaterU32,
            ("ge" or "hs", 'u', 32) => &Warp.GreaterOrEqualU32,
            ("eq", 'f', 32) => &Warp.EqualF32,
            ("neu", 'f', 32) => &Warp.NotEqualOrNanF32,
            ("lt", 'f', 32) => &Warp.LessF32,
            ("le", 'f', 32) => &Warp.LessOrEqualF32,
            ("gt", 'f', 32) => &Warp.GreaterF32,
            ("ge", 'f', 32) => &Warp.GreaterOrEqualF32,
            _ => &Warp.SetPredicate,
        };
    }

    private Func<ulong, ulong, bool> IntegerComparison(string comparison, PtxType type)
    {
        int bits = type.Bits;
        bool signed = type.IsSigned;
        if (type.Kind == 'b' && comparison is not ("eq" or "ne"))
        {
            throw Error($".{comparison} has no type {type}");
        }
        return (comparison, signed) switch
        {
            ("eq", _) => (a, b) => a == b,
            ("ne", _) => (a, b) => a != b,
            ("lt", true) => (a, b) => Signed(a, bits) < Signed(b, bits),
            ("le", true) => (a, b) => Signed(a, bits) <= Signed(b, bits),
            ("gt", true) => (a, b) => Signed(a, bits) > Signed(b, bits),
            ("ge", true) => (a, b) => Signed(a, bits) >= Signed(b, bits),
            ("lt" or "lo", false) => (a, b) => a < b,
            ("le" or "ls", false) => (a, b) => a <= b,
            ("gt" or "hi", false) => (a, b) => a > b,
            ("ge" or "hs", false) => (a, b) => a >= b,
            _ => throw Error($"unknown comparison .{comparison} of {type}"),
        };
    }

    private Func<ulong, ulong, bool> FloatComparison(string comparison, PtxType type, bool flush)
    {
        // A comparison with u also holds when an operand is NaN.
        Func<double, double, bool> compare = comparison switch
        {
            "eq" => (a, b) => a == b,
            "ne" => (a, b) => a < b || a > b,
            "lt" => (a, b) => a < b,
            "le" => (a, b) => a <= b,
            "gt" => (a, b) => a > b,
            "ge" => (a, b) => a >= b,
            "equ" => (a, b) => !(a < b || a > b),
            "neu" => (a, b) => a != b,
            "ltu" => (a, b) => !(a >= b),
            "leu" => (a, b) => !(a > b),
            "gtu" => (a, b) => !(a <= b),
            "geu" => (a, b) => !(a < b),
            "num" => (a, b) => !double.IsNaN(a) && !double.IsNaN(b),
            "nan" => (a, b) => double.IsNaN(a) || double.IsNaN(b),
            _ => throw Error($"unknown comparison .{comparison}"),
        };
        return type.Bits switch
        {
            64 => (a, b) => compare(Double(a), Double(b)),
            32 => flush ? (a, b) => compare(Flush(Single(a)), Flush(Single(b))) : (a, b) => compare(Single(a), Single(b)),
            _ => (a, b) => compare(NarrowFloat.From(type, (uint)a), NarrowFloat.From(type, (uint)b)),
        };
    }

    private void Select()
    {
        _i.Class = PtxOpClass.Compare;
        PtxType type = _statement.TakeType();
        Operands(4);
        if (type.Bits < 16)
        {
            throw Error($"selp has no type {type}");
        }
        SetDestination(type.RegisterBits);
        SetSources(1, 2, type.RegisterBits);
        _i.C = PredicateSource(_statement.Operand(3), out _i.NegatedC);
        _i.Execute = type.RegisterBits == 64 ? &Warp.Select64 : &Warp.Select32;
    }

    // slct d, a, b, c: a where c >= 0
    private void SelectBySign()
    {
        _i.Class = PtxOpClass.Compare;
        PtxType by = _statement.TakeType();
        PtxType type = _statement.TakeType();
        bool flush = _statement.Take("ftz");
        Operands(4);
        if (type.Bits < 16 || by.Bits != 32)
        {
            throw Error($"slct has no types {type} and {by}");
        }
        SetDestination(type.RegisterBits);
        SetSources(1, 2, type.RegisterBits);
        _i.C = Source(3, 32);
        SetScalar(by.IsFloat
            ? (a, b, c) => (flush ? Flush(Single(c)) : Single(c)) >= 0 ? a : b
            : (a, b, c) => Signed(c, 32) >= 0 ? a : b);
    }

    private void TestFloat()
    {
        _i.Class = PtxOpClass.Compare;
        PtxType type = _statement.TakeType();
        string test = _statement.TakeAny("finite", "infinite", "number", "notanumber", "normal", "subnormal") ?? throw Error("unknown test");
        Operands(2);
        if (type is not { Kind: 'f', Bits: 32 or 64 })
        {
            throw Error($"testp has no type {type}");
        }
        _i.D = Destination(0, 1);
        SetSources(1, 1, type.Bits, true);
        (_i.B, _i.BWide) = (_i.A, _i.AWide);
        bool isDouble = type.Bits == 64;
        _i.Compare = (a, _) =>
        {
            double value = isDouble ? Double(a) : Single(a);
            bool subnormal = isDouble ? double.IsSubnormal(value) : float.IsSubnormal(Single(a));
            return test switch
            {
                "finite" => double.IsFinite(value),
                "infinite" => double.IsInfinity(value),
                "number" => !double.IsNaN(value),
                "notanumber" => double.IsNaN(value),
                "subnormal" => subnormal,
                _ => double.IsFinite(value) && value != 0 && !subnormal,
            };
        };
        _i.Execute = &Warp.SetPredicate;
    }
}
