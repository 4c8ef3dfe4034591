using System.Globalization;

namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Reads a module: directives, declarations and statements; <see cref="PtxDecoder"/> understands the statements.</summary>
internal sealed class PtxParser
{
    private const int MostRegisters = 100_000;
    private const int MostBytes = 1 << 20;
    private const int MostStaticShared = 48 * 1024;

    private readonly string[] _lines;
    private readonly List<PtxToken> _tokens;
    private readonly List<PtxEntry> _entries = [];
    private readonly Dictionary<string, (int Align, int Bytes, int Line)> _moduleShared = [];
    private string? _dynamicShared;
    private int _dynamicAlign = 16;
    private string? _version;
    private int _target;
    private int _next;

    public PtxParser(string text)
    {
        _lines = text.Split('\n');
        _tokens = PtxLexer.Split(text, _lines);
    }

    private PtxToken Token => _tokens[_next];

    public PtxModule Parse()
    {
        while (Token.Kind != PtxTokenKind.End)
        {
            ParseModuleItem();
        }
        if (_version is null || _target == 0)
        {
            throw Error("a module begins with .version and .target");
        }
        return new PtxModule(_version, _target, _entries);
    }

    private void ParseModuleItem()
    {
        string directive = Expect(PtxTokenKind.Dot, "a directive");
        switch (directive)
        {
            case "version":
                _version = Expect(PtxTokenKind.Number, "a version");
                break;
            case "target":
                ParseTarget();
                break;
            case "address_size":
                if (Number() != 64)
                {
                    throw Error("only .address_size 64");
                }
                break;
            case "visible" or "weak":
                break;
            case "extern":
                ExpectDot("shared");
                ParseDynamicShared();
                break;
            case "shared":
                (string name, int align, int bytes, int line) = ParseArray();
                if (!_moduleShared.TryAdd(name, (align, bytes, line)))
                {
                    throw Error($"{name} is declared twice");
                }
                break;
            case "entry":
                ParseEntry();
                break;
            case "func":
                throw Error("functions are not supported: inline them", -1);
            default:
                throw Error($"unknown directive .{directive}", -1);
        }
    }

    private void ParseTarget()
    {
        string name = Expect(PtxTokenKind.Word, "a target");
        string digits = name.StartsWith("sm_", StringComparison.Ordinal) ? name[3..].TrimEnd('a', 'f') : "";
        if (!int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out _target) || _target is < 20 or > 200)
        {
            throw Error($"unknown target {name}", -1);
        }
        while (Accept(","))
        {
            Expect(PtxTokenKind.Word, "a target option");
        }
    }

    private void ParseDynamicShared()
    {
        _dynamicAlign = 1;
        if (AcceptDot("align"))
        {
            _dynamicAlign = Alignment();
        }
        Type();
        _dynamicShared = Expect(PtxTokenKind.Word, "a name");
        Expect("[");
        Expect("]");
        Expect(";");
    }

    // [.align N] .type name[count] or .type name; after .shared or .local
    private (string Name, int Align, int Bytes, int Line) ParseArray()
    {
        int line = Token.Line;
        int align = 0;
        if (AcceptDot("align"))
        {
            align = Alignment();
        }
        PtxType type = Type();
        if (type.Bits < 8)
        {
            throw Error("predicates have no memory", -1);
        }
        string name = Expect(PtxTokenKind.Word, "a name");
        long bytes = type.Bytes;
        while (Accept("["))
        {
            bytes *= Number();
            Expect("]");
            if (bytes is <= 0 or > MostBytes)
            {
                throw Error($"{name} has {bytes} bytes; 1 to {MostBytes} are possible", -1);
            }
        }
        Expect(";");
        return (name, Math.Max(align, type.Bytes), (int)bytes, line);
    }

    private void ParseEntry()
    {
        PtxToken nameToken = Token;
        string name = Expect(PtxTokenKind.Word, "the name of an entry");
        if (_target == 0)
        {
            throw Error("a module begins with .version and .target", -1);
        }
        if (_entries.Exists(entry => entry.Name == name))
        {
            throw Error($"entry {name} is declared twice", -1);
        }
        List<PtxParameter> parameters = [];
        int parameterBytes = 0;
        if (Accept("(") && !Accept(")"))
        {
            do
            {
                parameterBytes = ParseParameter(parameters, parameterBytes);
            }
            while (Accept(","));
            Expect(")");
        }
        int? maxThreads = null;
        while (Token.Kind == PtxTokenKind.Dot)
        {
            string directive = Expect(PtxTokenKind.Dot, "a directive");
            if (directive is "maxntid" or "reqntid")
            {
                long threads = Number();
                while (Accept(","))
                {
                    threads *= Number();
                    if (threads is < 1 or > 1024)
                    {
                        break;
                    }
                }
                maxThreads = threads is >= 1 and <= 1024 ? (int)threads : throw Error("a block has 1 to 1024 threads", -1);
            }
            else if (directive is "minnctapersm" or "maxnreg" or "maxnctapersm")
            {
                Number();
            }
            else
            {
                throw Error($"unknown directive .{directive}", -1);
            }
        }
        PtxEntryBuilder builder = new(name, nameToken.Line, parameters, parameterBytes, maxThreads, _target);
        foreach (KeyValuePair<string, (int Align, int Bytes, int Line)> array in _moduleShared)
        {
            builder.AddShared(array.Key, array.Value.Align, array.Value.Bytes);
        }
        builder.SetDynamicShared(_dynamicShared, _dynamicAlign);
        Expect("{");
        ParseBody(builder);
        if (builder.SharedBytes > MostStaticShared)
        {
            throw new PtxException(
                $"{builder.SharedBytes} bytes of static shared memory; at most {MostStaticShared}", nameToken.Line, Source(nameToken.Line));
        }
        _entries.Add(builder.Build());
    }

    private int ParseParameter(List<PtxParameter> parameters, int offset)
    {
        ExpectDot("param");
        int align = AcceptDot("align") ? Alignment() : 0;
        PtxType type = Type();
        if (AcceptDot("ptr"))
        {
            while (Token.Kind == PtxTokenKind.Dot)
            {
                if (Expect(PtxTokenKind.Dot, "a directive") == "align")
                {
                    align = Math.Max(align, Alignment());
                }
            }
            align = 0;
        }
        string name = Expect(PtxTokenKind.Word, "the name of a parameter");
        long size = Math.Max(1, type.Bytes);
        if (Accept("["))
        {
            size *= Number();
            Expect("]");
        }
        align = Math.Max(align, type.Bytes);
        offset = (offset + align - 1) / align * align;
        if (type.Bits < 8 || size is <= 0 or > 4096 || offset + size > 4096)
        {
            throw Error("parameters have at most 4096 bytes", -1);
        }
        if (parameters.Exists(other => other.Name == name))
        {
            throw Error($"parameter {name} is declared twice", -1);
        }
        parameters.Add(new PtxParameter(name, type.ToString(), offset, (int)size));
        return offset + (int)size;
    }

    private void ParseBody(PtxEntryBuilder builder)
    {
        int depth = 1;
        while (depth > 0)
        {
            PtxToken token = Token;
            if (token.Kind == PtxTokenKind.Dot)
            {
                ParseDeclaration(builder);
            }
            else if (Accept("{"))
            {
                builder.Open();
                depth++;
            }
            else if (Accept("}"))
            {
                builder.Close();
                depth--;
            }
            else if (Accept(";"))
            {
                // An empty statement.
            }
            else if (token.Kind == PtxTokenKind.Word && IsMark(_next + 1, ":"))
            {
                _next += 2;
                bool isNew = Token is { Kind: PtxTokenKind.Dot, Text: "branchtargets" }
                    ? builder.AddTargets(token.Text, ParseTargets())
                    : builder.AddLabel(token.Text);
                if (!isNew)
                {
                    throw new PtxException($"label {token.Text} is declared twice", token.Line, Source(token.Line));
                }
            }
            else
            {
                ParseStatement(builder);
            }
        }
    }

    private string[] ParseTargets()
    {
        _next++;
        List<string> labels = [];
        do
        {
            labels.Add(Expect(PtxTokenKind.Word, "a label"));
        }
        while (Accept(","));
        Expect(";");
        return [.. labels];
    }

    private void ParseDeclaration(PtxEntryBuilder builder)
    {
        string directive = Expect(PtxTokenKind.Dot, "a declaration");
        switch (directive)
        {
            case "reg":
                ParseRegisters(builder);
                break;
            case "local" or "shared":
                (string name, int align, int bytes, int line) = ParseArray();
                bool isNew = directive == "local" ? builder.AddLocal(name, align, bytes) : builder.AddShared(name, align, bytes);
                if (!isNew || builder.SharedBytes > MostBytes || builder.LocalBytes > MostBytes)
                {
                    throw new PtxException(
                        isNew ? "too much memory" : $"{name} is declared twice", line, Source(line));
                }
                break;
            case "pragma":
                Expect(PtxTokenKind.String, "a string");
                Expect(";");
                break;
            case "loc":
                Number();
                Number();
                Number();
                break;
            default:
                throw Error($"unknown directive .{directive}", -1);
        }
    }

    private void ParseRegisters(PtxEntryBuilder builder)
    {
        PtxType type = Type();
        if (type.Bits == 8)
        {
            throw Error("registers have 16, 32 or 64 bits", -1);
        }
        do
        {
            string name = Expect(PtxTokenKind.Word, "a register");
            if (Accept("<"))
            {
                long count = Number();
                Expect(">");
                if (count is < 1 or > MostRegisters)
                {
                    throw Error($"{count} registers; at most {MostRegisters}", -1);
                }
                for (int i = 0; i < count; i++)
                {
                    AddRegister(builder, name + i.ToString(CultureInfo.InvariantCulture), type);
                }
            }
            else
            {
                AddRegister(builder, name, type);
            }
        }
        while (Accept(","));
        Expect(";");
    }

    private void AddRegister(PtxEntryBuilder builder, string name, PtxType type)
    {
        if (builder.RegisterCount >= MostRegisters)
        {
            throw Error($"more than {MostRegisters} registers", -1);
        }
        if (!builder.AddRegister(name, type.RegisterBits))
        {
            throw Error($"register {name} is declared twice", -1);
        }
    }

    private void ParseStatement(PtxEntryBuilder builder)
    {
        PtxOperand? guard = null;
        int line = Token.Line;
        if (Accept("@"))
        {
            bool negated = Accept("!");
            PtxToken token = Token;
            string name = Expect(PtxTokenKind.Word, "a predicate");
            PtxRegister register = builder.Register(name)
                ?? throw new PtxException($"{name} is not declared", token.Line, Source(token.Line));
            guard = new PtxOperand { Kind = PtxOperandKind.Register, Register = register, Negated = negated, Name = name };
        }
        line = Token.Line;
        string opcode = Expect(PtxTokenKind.Word, "an instruction");
        List<string> modifiers = [];
        while (Token.Kind == PtxTokenKind.Dot)
        {
            modifiers.Add(Expect(PtxTokenKind.Dot, "a modifier"));
        }
        List<PtxOperand> operands = [];
        if (!Accept(";"))
        {
            do
            {
                operands.Add(ParseOperand(builder, 0));
                if (Accept("|"))
                {
                    operands[^1] = new PtxOperand { Kind = PtxOperandKind.Pair, Items = [operands[^1], ParseOperand(builder, 0)] };
                }
            }
            while (Accept(","));
            Expect(";");
        }
        builder.Add(new PtxStatement(opcode, modifiers, operands, guard, line, Source(line)));
    }

    private PtxOperand ParseOperand(PtxEntryBuilder builder, int depth)
    {
        if (depth > 2)
        {
            throw Error("operands are nested too deeply");
        }
        if (Accept("{"))
        {
            List<PtxOperand> items = [];
            do
            {
                items.Add(ParseOperand(builder, depth + 1));
            }
            while (Accept(","));
            Expect("}");
            return new PtxOperand { Kind = PtxOperandKind.Vector, Items = [.. items] };
        }
        if (Accept("["))
        {
            PtxOperand start = ParseOperand(builder, depth + 1);
            ulong offset = 0;
            if (Accept("+"))
            {
                offset = ParseInteger().Value;
            }
            else if (IsMark(_next, "-"))
            {
                offset = ParseInteger().Value;
            }
            Expect("]");
            return new PtxOperand { Kind = PtxOperandKind.Address, Items = [start], Value = offset };
        }
        if (Accept("!"))
        {
            PtxOperand operand = ParseOperand(builder, depth + 1);
            if (operand is not { Kind: PtxOperandKind.Register, Register.Bits: 1 })
            {
                throw Error("only predicates can be negated", -1);
            }
            return new PtxOperand { Kind = PtxOperandKind.Register, Register = operand.Register, Negated = !operand.Negated, Name = operand.Name };
        }
        if (Token.Kind == PtxTokenKind.Word)
        {
            string name = Expect(PtxTokenKind.Word, "an operand");
            while (Token.Kind == PtxTokenKind.Dot)
            {
                name += "." + Expect(PtxTokenKind.Dot, "a component");
            }
            PtxRegister? register = builder.Register(name);
            PtxOperandKind kind = register is not null ? PtxOperandKind.Register
                : name == "_" ? PtxOperandKind.Sink : PtxOperandKind.Word;
            return new PtxOperand { Kind = kind, Register = register, Name = name };
        }
        return ParseInteger();
    }

    private PtxOperand ParseInteger()
    {
        bool negative = false;
        while (IsMark(_next, "-") || IsMark(_next, "+"))
        {
            negative ^= Accept("-");
            Accept("+");
        }
        PtxToken token = Token;
        string text = Expect(PtxTokenKind.Number, "an operand");
        ulong bits;
        PtxOperandKind kind = PtxOperandKind.Integer;
        bool parsed;
        if (text.StartsWith("0f", StringComparison.OrdinalIgnoreCase))
        {
            kind = PtxOperandKind.Single;
            parsed = TryHex(text, 8, out bits);
            bits ^= negative ? 0x8000_0000ul : 0;
        }
        else if (text.StartsWith("0d", StringComparison.OrdinalIgnoreCase))
        {
            kind = PtxOperandKind.Double;
            parsed = TryHex(text, 16, out bits);
            bits ^= negative ? 1ul << 63 : 0;
        }
        else if (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
        {
            parsed = ulong.TryParse(text.AsSpan(2).TrimEnd('U'), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out bits);
            bits = negative ? 0 - bits : bits;
        }
        else if (text.StartsWith("0b", StringComparison.OrdinalIgnoreCase))
        {
            parsed = ulong.TryParse(text.AsSpan(2).TrimEnd('U'), NumberStyles.AllowBinarySpecifier, CultureInfo.InvariantCulture, out bits);
            bits = negative ? 0 - bits : bits;
        }
        else if (text.AsSpan().IndexOfAny('.', 'e', 'E') >= 0)
        {
            kind = PtxOperandKind.Double;
            parsed = double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value);
            bits = BitConverter.DoubleToUInt64Bits(negative ? -value : value);
        }
        else
        {
            // A leading zero would mean octal: refused rather than misread.
            parsed = ulong.TryParse(text.AsSpan().TrimEnd('U'), NumberStyles.None, CultureInfo.InvariantCulture, out bits)
                && (text.Length == 1 || text[0] != '0' || text == "0U");
            bits = negative ? 0 - bits : bits;
        }
        if (!parsed)
        {
            throw new PtxException($"{text} is no number", token.Line, Source(token.Line));
        }
        return new PtxOperand { Kind = kind, Value = bits, Name = text };
    }

    private static bool TryHex(string text, int digits, out ulong bits)
    {
        bits = 0;
        return text.Length == digits + 2
            && ulong.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out bits);
    }

    private long Number()
    {
        PtxOperand number = ParseInteger();
        return number.Kind == PtxOperandKind.Integer && number.Value <= int.MaxValue
            ? (long)number.Value : throw Error($"{number.Name} is no count", -1);
    }

    private int Alignment()
    {
        long align = Number();
        return align is > 0 and <= 1024 && (align & (align - 1)) == 0
            ? (int)align : throw Error("an alignment is a power of two up to 1024", -1);
    }

    private PtxType Type()
    {
        string name = Expect(PtxTokenKind.Dot, "a type");
        return PtxType.TryParse(name, out PtxType type) ? type : throw Error($"unknown type .{name}", -1);
    }

    private string Expect(PtxTokenKind kind, string what)
    {
        PtxToken token = Token;
        if (token.Kind != kind)
        {
            throw Error(token.Kind == PtxTokenKind.End ? $"the text ends where {what} was expected" : $"{what} was expected, not {token.Text}");
        }
        _next++;
        return token.Text;
    }

    private void Expect(string mark)
    {
        if (!Accept(mark))
        {
            throw Error(Token.Kind == PtxTokenKind.End ? $"the text ends where {mark} was expected" : $"{mark} was expected, not {Token.Text}");
        }
    }

    private void ExpectDot(string name)
    {
        if (!AcceptDot(name))
        {
            throw Error($".{name} was expected, not {Token.Text}");
        }
    }

    private bool Accept(string mark)
    {
        if (!IsMark(_next, mark))
        {
            return false;
        }
        _next++;
        return true;
    }

    private bool AcceptDot(string name)
    {
        if (Token.Kind != PtxTokenKind.Dot || Token.Text != name)
        {
            return false;
        }
        _next++;
        return true;
    }

    private bool IsMark(int index, string mark) =>
        index < _tokens.Count && _tokens[index].Kind == PtxTokenKind.Mark && _tokens[index].Text == mark;

    private string Source(int line) => line <= _lines.Length ? _lines[line - 1].Trim() : "";

    // Offset -1: the token before is the one that is wrong.
    private PtxException Error(string problem, int offset = 0)
    {
        int line = _tokens[Math.Max(0, _next + offset)].Line;
        return new PtxException(problem, line, Source(line));
    }
}
