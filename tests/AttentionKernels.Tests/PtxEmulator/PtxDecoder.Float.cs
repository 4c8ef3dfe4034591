namespace AttentionKernels.Tests.PtxEmulator;

internal sealed unsafe partial class PtxDecoder
{
    // add, sub, mul, mad, fma, min, max, div, neg, abs, copysign of floats
    private void FloatArithmetic(PtxType type)
    {
        string opcode = _statement.Opcode;
        _i.Class = PtxOpClass.Float;
        bool flush = _statement.Take("ftz");
        bool saturate = _statement.Take("sat");
        bool nanWins = opcode is "min" or "max" && _statement.Take("NaN");
        string? approximate = opcode == "div" ? _statement.TakeAny("approx", "full") : null;
        if (_statement.TakeAny("rz", "rm", "rp") is string rounding)
        {
            throw Error($"rounding .{rounding} is not supported");
        }
        bool nearest = _statement.Take("rn");
        if (opcode is "fma" or "mad" or "div" && !nearest && approximate is null)
        {
            throw Error($"{opcode} of floats needs .rn");
        }
        int sources = opcode switch
        {
            "neg" or "abs" => 1,
            "fma" or "mad" => 3,
            _ => 2,
        };
        Operands(sources + 1);
        SetDestination(type.RegisterBits);
        SetSources(1, sources, type.RegisterBits, true);
        (_i.Flush, _i.Saturate) = (flush, saturate);
        Func<double, double, double, double> operation = opcode switch
        {
            "add" => (a, b, _) => a + b,
            "sub" => (a, b, _) => a - b,
            "mul" => (a, b, _) => a * b,
            "div" => (a, b, _) => a / b,
            "fma" or "mad" => Math.FusedMultiplyAdd,
            "max" => (a, b, _) => nanWins ? Math.Max(a, b) : double.MaxNumber(a, b),
            "min" => (a, b, _) => nanWins ? Math.Min(a, b) : double.MinNumber(a, b),
            "neg" or "abs" or "copysign" => null!,
            _ => throw Error($"{opcode} has no type {type}"),
        };
        if (operation is null)
        {
            SignOperation(type, opcode, flush);
            return;
        }
        if (type.Kind == 't')
        {
            throw Error($"{opcode} has no type {type}");
        }
        if (type.Bits == 64)
        {
            SetScalar((a, b, c) => Bits(operation(Double(a), Double(b), Double(c))));
        }
        else if (type.Bits == 16)
        {
            // One rounding from float64: sums and products of 11-bit significands are exact there but for extreme sums.
            SetScalar(EachHalf(type, (a, b, c) => NarrowFloat.To(type, HalfResult(operation(
                NarrowFloat.From(type, a), NarrowFloat.From(type, b), NarrowFloat.From(type, c)), type, flush, saturate))));
        }
        else if (approximate is not null)
        {
            _i.Class = PtxOpClass.Special;
            // x * (1 / y), of which the reciprocal is 0 where it would be subnormal; div.full scales its operands.
            const double Largest = 8.507059173023462e37; // 2^126
            bool scales = approximate == "full";
            _i.Approximation = new Approximation("div", (x, y) => !scales && Math.Abs(y) is > Largest and < double.PositiveInfinity ? x * Math.CopySign(0, y) : x / y, 2, false);
            _i.Execute = &Warp.Approximate;
        }
        else
        {
            SingleArithmetic(opcode, nanWins, flush, saturate);
            _i.Fusable = opcode is "add" or "sub" or "mul" && !nearest && !saturate;
        }
    }

    // add, sub, mul, fma, max, min and div of float32: rounded once; float64 would round sums twice.
    private void SingleArithmetic(string opcode, bool nanWins, bool flush, bool saturate)
    {
        Func<float, float, float, float> operation = opcode switch
        {
            "add" => (a, b, _) => a + b,
            "sub" => (a, b, _) => a - b,
            "mul" => (a, b, _) => a * b,
            "div" => (a, b, _) => a / b,
            "max" => (a, b, _) => nanWins ? MathF.Max(a, b) : float.MaxNumber(a, b),
            "min" => (a, b, _) => nanWins ? MathF.Min(a, b) : float.MinNumber(a, b),
            _ => MathF.FusedMultiplyAdd,
        };
        SetScalar((x, y, z) =>
        {
            (float a, float b, float c) = (Single(x), Single(y), Single(z));
            float result = flush ? Flush(operation(Flush(a), Flush(b), Flush(c))) : operation(a, b, c);
            return Bits(saturate ? Saturate(result) : result);
        });
        if (nanWins)
        {
            return;
        }
        switch (opcode)
        {
            case "add":
                _i.Execute = &Warp.AddF32;
                break;
            case "sub":
                _i.Execute = &Warp.SubtractF32;
                break;
            case "mul":
                _i.Execute = &Warp.MultiplyF32;
                break;
            case "fma" or "mad":
                _i.Execute = &Warp.FusedF32;
                break;
            case "max":
                _i.Execute = &Warp.MaxF32;
                break;
            case "min":
                _i.Execute = &Warp.MinF32;
                break;
        }
    }

    // neg, abs and copysign change the sign bit only, also of a NaN.
    private void SignOperation(PtxType type, string opcode, bool flush)
    {
        ulong sign = type.Pair ? 0x8000_8000ul : 1ul << (type.Bits - 1);
        Func<ulong, ulong> flushed = flush && type.Bits == 32
            ? a => (a & 0x7f80_0000) == 0 ? a & 0x8000_0000 : a
            : a => a;
        SetScalar(opcode switch
        {
            "neg" => (a, _, _) => flushed(a) ^ sign,
            "abs" => (a, _, _) => flushed(a) & ~sign,
            _ => (a, b, _) => (b & ~sign) | (a & sign),   // copysign d, a, b: the sign of a
        });
        if (opcode == "neg" && type.Bits == 32)
        {
            _i.Execute = &Warp.NegateF32;
        }
    }

    private static double HalfResult(double value, PtxType type, bool flush, bool saturate)
    {
        if (flush && type.Kind == 'f' && Math.Abs(value) < 6.103515625e-5)
        {
            value = Math.CopySign(0, value);
        }
        return saturate ? value > 0 ? Math.Min(value, 1) : 0 : value;
    }

    // Applies an operation on 16 bits to one value or to both halves of a pair.
    private static Func<ulong, ulong, ulong, ulong> EachHalf(PtxType type, Func<uint, uint, uint, uint> operation) => type.Pair
        ? (a, b, c) => operation((uint)a & 0xffff, (uint)b & 0xffff, (uint)c & 0xffff)
            | (operation((uint)a >> 16, (uint)b >> 16, (uint)c >> 16) << 16)
        : (a, b, c) => operation((uint)a, (uint)b, (uint)c);

    private void Special()
    {
        _i.Class = PtxOpClass.Special;
        string opcode = _statement.Opcode;
        PtxType type = _statement.TakeType();
        bool flush = _statement.Take("ftz");
        bool approximate = _statement.Take("approx");
        if (!approximate && !(opcode is "rcp" or "sqrt" && _statement.Take("rn")))
        {
            throw Error($"{opcode} needs .approx{(opcode is "rcp" or "sqrt" ? " or .rn" : "")}");
        }
        Operands(2);
        SetDestination(type.RegisterBits);
        SetSources(1, 1, type.RegisterBits, true);
        _i.Flush = flush;
        Approximation function = Approximation.Of(opcode);
        if (type is { Kind: 'f', Bits: 32 })
        {
            if (approximate)
            {
                _i.Approximation = function;
                _i.Execute = opcode == "ex2" ? &Warp.Exponential : &Warp.Approximate;
                return;
            }
            _i.Class = PtxOpClass.Float;
            SetScalar((a, _, _) =>
            {
                float x = flush ? Flush(Single(a)) : Single(a);
                float y = opcode == "rcp" ? 1 / x : MathF.Sqrt(x);
                return Bits(flush ? Flush(y) : y);
            });
        }
        else if (type.Bits == 16 && approximate && opcode is "ex2" or "tanh")
        {
            SetScalar(EachHalf(type, (a, _, _) => NarrowFloat.To(type, function.Exact(NarrowFloat.From(type, a), 0))));
        }
        else if (type.Bits == 64 && opcode is "rcp" or "sqrt" or "rsqrt")
        {
            SetScalar((a, _, _) => Bits(function.Exact(Double(a), 0)));
        }
        else
        {
            throw Error($"{opcode} has no type {type}");
        }
    }

    // cvt[.rounding][.ftz][.sat|.relu].to.from
    private void Convert()
    {
        _i.Class = PtxOpClass.Convert;
        PtxType from = _statement.TakeType();
        PtxType to = _statement.TakeType();
        string? rounding = _statement.TakeAny("rn", "rz", "rm", "rp", "rna", "rni", "rzi", "rmi", "rpi");
        bool flush = _statement.Take("ftz");
        bool saturate = _statement.Take("sat");
        bool relu = _statement.Take("relu");
        if (from.Kind is 'b' or 'p' || to.Kind is 'b' or 'p' || from.Pair)
        {
            throw Error($"cvt does not convert {from} to {to}");
        }
        if (to.Pair)
        {
            ConvertPair(from, to, rounding, relu);
            return;
        }
        Operands(2);
        // Values of 8 bits live in wider registers; other sources and destinations may be wider, too.
        PtxOperand target = _statement.Operand(0);
        PtxOperand source = _statement.Operand(1);
        int targetBits = Math.Max(16, to.Bits);
        int sourceBits = Math.Max(16, from.Bits);
        _i.D = Destination(target, targetBits, true);
        _i.A = Source(source, sourceBits, from.IsFloat, true);
        _i.DWide = target.Register?.Bits == 64;
        _i.AWide = source.Register is PtxRegister register ? register.Bits == 64 : sourceBits == 64;
        _i.DMask = Mask(target.Register?.Bits ?? targetBits);
        if (_i.D < 0)
        {
            throw Error("the result needs a register");
        }
        ulong inputMask = Mask(from.Bits);
        if (!from.IsFloat && !to.IsFloat)
        {
            RequireRounding(rounding, null);
            SetScalar((a, _, _) => saturate
                ? SaturateInteger(a & inputMask, from, to)
                : Extend(from.IsSigned ? (ulong)Signed(a & inputMask, from.Bits) : a & inputMask, to));
            if (from is { Kind: 's', Bits: 32 } && to.Bits == 64 && !saturate && !_i.AWide)
            {
                _i.Execute = &Warp.WidenSigned;
            }
        }
        else if (!from.IsFloat)
        {
            RequireRounding(rounding, "rn");
            SetScalar((a, _, _) => FromInteger(from.IsSigned ? Signed(a & inputMask, from.Bits) : (Int128)(a & inputMask), to));
        }
        else if (!to.IsFloat)
        {
            string mode = rounding is "rni" or "rzi" or "rmi" or "rpi" ? rounding : throw Error("cvt of a float to an integer needs .rni, .rzi, .rmi or .rpi");
            SetScalar((a, _, _) => ToInteger(FloatValue(a & inputMask, from, flush), mode, to));
        }
        else
        {
            bool narrows = to.Bits < from.Bits || to.Kind is 'h' or 't' || from.Kind == 'h';
            bool integral = rounding is "rni" or "rzi" or "rmi" or "rpi";
            if (!integral)
            {
                RequireRounding(rounding, narrows && from.Bits >= to.Bits && from.Kind != 'h' ? to.Kind == 't' ? "rna" : rounding == "rz" ? "rz" : "rn" : null);
            }
            SetScalar((a, _, _) =>
            {
                double value = FloatValue(a & inputMask, from, flush);
                value = integral ? Round(value, rounding!) : value;
                value = relu ? value > 0 || double.IsNaN(value) ? value : 0 : value;
                value = saturate ? value > 0 ? Math.Min(value, 1) : 0 : value;
                return FloatBits(value, to, rounding == "rz", flush);
            });
            bool narrowRegisters = target.Register?.Bits <= 32 && (source.Register?.Bits ?? 32) <= 32;
            if (narrowRegisters && !flush && !saturate && !relu)
            {
                _i.Execute = (from, to, rounding) switch
                {
                    ({ Kind: 'f', Bits: 16 }, { Kind: 'f', Bits: 32 }, null) => &Warp.WidenHalf,
                    ({ Kind: 'f', Bits: 32 }, { Kind: 'f', Bits: 16 }, "rn") => &Warp.NarrowHalf,
                    ({ Kind: 'f', Bits: 32 }, { Kind: 'h', Bits: 16 }, "rn") => &Warp.NarrowBrainFloat,
                    _ => _i.Execute,
                };
            }
        }
    }

    // cvt.rn.f16x2.f32 d, a, b: a becomes the upper half.
    private void ConvertPair(PtxType from, PtxType to, string? rounding, bool relu)
    {
        Operands(3);
        if (from is not { Kind: 'f', Bits: 32 } || rounding is not ("rn" or "rz"))
        {
            throw Error($"cvt does not convert {from} to {to} so");
        }
        SetDestination(32);
        SetSources(1, 2, 32, true);
        bool zero = rounding == "rz";
        PtxType element = to with { Pair = false };
        SetScalar((a, b, _) => FloatBits(Clip(Single(b)), element, zero, false) | (FloatBits(Clip(Single(a)), element, zero, false) << 16));
        double Clip(float value) => relu && value <= 0 ? 0 : value;
        if (!zero && !relu)
        {
            _i.Execute = to.Kind == 'h' ? &Warp.PackBrainFloats : &Warp.PackHalves;
        }
    }

    private void RequireRounding(string? rounding, string? expected)
    {
        if (rounding != expected)
        {
            throw Error(expected is null ? $"cvt takes no .{rounding} here" : $"cvt needs .{expected} here");
        }
    }

    private static ulong Extend(ulong value, PtxType to) =>
        to.IsSigned ? (ulong)Signed(value & Mask(to.Bits), to.Bits) : value & Mask(to.Bits);

    private static ulong SaturateInteger(ulong value, PtxType from, PtxType to) =>
        ClampInteger(from.IsSigned ? Signed(value, from.Bits) : (Int128)value, to);

    private static ulong ClampInteger(Int128 value, PtxType to)
    {
        Int128 least = to.IsSigned ? -(Int128.One << (to.Bits - 1)) : 0;
        Int128 most = (Int128.One << (to.IsSigned ? to.Bits - 1 : to.Bits)) - 1;
        return Extend((ulong)Int128.Clamp(value, least, most), to);
    }

    private static ulong FromInteger(Int128 value, PtxType to) => to.Bits switch
    {
        64 => Bits((double)value),
        32 => Bits((float)value),
        _ => NarrowFloat.To(to, (double)value),   // beyond 53 bits float16 is infinite, and bf16 sees an odd-rounded tail
    };

    // Float to integer: rounded, then clamped to the range; NaN gives 0 (64 bits: the sign bit alone).
    private static ulong ToInteger(double value, string mode, PtxType to)
    {
        if (double.IsNaN(value))
        {
            return to.Bits == 64 ? 1ul << 63 : 0;
        }
        value = Math.Clamp(Round(value, mode), -3e19, 3e19);
        return ClampInteger((Int128)value, to);
    }

    private static double Round(double value, string mode) => mode switch
    {
        "rni" => Math.Round(value, MidpointRounding.ToEven),
        "rzi" => Math.Truncate(value),
        "rmi" => Math.Floor(value),
        _ => Math.Ceiling(value),
    };

    private static double FloatValue(ulong bits, PtxType from, bool flush) => from.Bits switch
    {
        64 => Double(bits),
        32 => flush ? Flush(Single(bits)) : Single(bits),
        _ => NarrowFloat.From(from, (uint)bits),
    };

    private static ulong FloatBits(double value, PtxType to, bool towardsZero, bool flush)
    {
        if (to.Bits == 64)
        {
            return Bits(value);
        }
        if (to.Kind == 't')
        {
            // Ties away from zero at bit 13; the low bits are zero.
            uint bits = (uint)Bits((float)value);
            return double.IsFinite(value) ? (bits + 0x1000) & 0xffff_e000 : bits;
        }
        if (to.Bits == 32)
        {
            float single = (float)value;
            if (towardsZero && Math.Abs(single) > Math.Abs(value))
            {
                single = BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(single) - 1);
            }
            return Bits(flush ? Flush(single) : single);
        }
        uint result = NarrowFloat.To(to, value);
        return towardsZero && !double.IsNaN(value) && Math.Abs(NarrowFloat.From(to, result)) > Math.Abs(value) ? result - 1 : result;
    }
}
