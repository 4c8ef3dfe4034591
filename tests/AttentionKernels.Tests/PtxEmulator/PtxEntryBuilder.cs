namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Collects the declarations and instructions of an entry and lays out its registers and memories.</summary>
internal sealed class PtxEntryBuilder
{
    private readonly string _name;
    private readonly int _line;
    private readonly List<PtxParameter> _parameters;
    private readonly int _parameterBytes;
    private readonly int? _maxThreads;
    private readonly Dictionary<string, int> _shared = [];
    private readonly Dictionary<string, int> _local = [];
    private readonly Dictionary<(ulong, bool), int> _constants = [];
    private readonly Dictionary<string, int> _specials = [];
    private readonly List<PtxInstruction> _instructions = [];
    private readonly List<(PtxInstruction Instruction, string Label, PtxScope Scope)> _branches = [];
    private PtxScope _scope = new(null);
    private string? _dynamicShared;
    private int _dynamicAlign;
    private int _registerBytes;

    public PtxEntryBuilder(string name, int line, List<PtxParameter> parameters, int parameterBytes, int? maxThreads, int target)
    {
        _name = name;
        _line = line;
        _parameters = parameters;
        _parameterBytes = parameterBytes;
        _maxThreads = maxThreads;
        Target = target;
    }

    public int Target { get; }

    public int SharedBytes { get; private set; }

    public int LocalBytes { get; private set; }

    public int RegisterCount { get; private set; }

    public void Open() => _scope = new PtxScope(_scope);

    public void Close() => _scope = _scope.Parent ?? _scope;

    public PtxRegister? Register(string name) => _scope.Register(name);

    public bool AddRegister(string name, int bits)
    {
        // Predicates are masks of 4 bytes, but vectors of lanes stay aligned to 32 bytes.
        PtxRegister register = new(name, RegisterCount++, bits, Reserve(bits == 1 ? 32 : bits == 64 ? 256 : 128));
        return _scope.Add(register);
    }

    public bool AddLabel(string name) => _scope.AddLabel(name, _instructions.Count);

    public bool AddTargets(string name, string[] labels) => _scope.AddTargets(name, labels);

    public bool AddShared(string name, int align, int bytes)
    {
        int offset = (SharedBytes + align - 1) / align * align;
        SharedBytes = offset + bytes;
        return _shared.TryAdd(name, offset);
    }

    public bool AddLocal(string name, int align, int bytes)
    {
        int offset = (LocalBytes + align - 1) / align * align;
        LocalBytes = offset + bytes;
        return _local.TryAdd(name, offset);
    }

    public void SetDynamicShared(string? name, int align)
    {
        _dynamicShared = name;
        _dynamicAlign = Math.Max(16, align);
    }

    public PtxParameter? Parameter(string name) => _parameters.Find(parameter => parameter.Name == name);

    /// <summary>Slot of a constant in all lanes.</summary>
    public int Constant(ulong bits, bool wide)
    {
        bits = wide ? bits : (uint)bits;
        if (!_constants.TryGetValue((bits, wide), out int slot))
        {
            slot = Reserve(wide ? 256 : 128);
            _constants.Add((bits, wide), slot);
        }
        return slot;
    }

    /// <summary>Slot of a special register; null where the name is none.</summary>
    public int? Special(string name)
    {
        if (!SpecialRegisters.Knows(name))
        {
            return null;
        }
        if (!_specials.TryGetValue(name, out int slot))
        {
            slot = Reserve(128);
            _specials.Add(name, slot);
        }
        return slot;
    }

    /// <summary>Address of a .shared or .local symbol in its own space.</summary>
    public (PtxSpace Space, int Offset)? Symbol(string name)
    {
        if (_local.TryGetValue(name, out int offset))
        {
            return (PtxSpace.Local, offset);
        }
        if (_shared.TryGetValue(name, out offset))
        {
            return (PtxSpace.Shared, offset);
        }
        return name == _dynamicShared ? (PtxSpace.Shared, DynamicOffset) : null;
    }

    public void Add(PtxStatement statement)
    {
        PtxInstruction instruction = PtxDecoder.Decode(statement, this);
        if (statement.Opcode is "bra" or "brx")
        {
            _branches.Add((instruction, statement.Operands[^1].Name, _scope));
        }
        _instructions.Add(instruction);
    }

    public PtxEntry Build()
    {
        Add(new PtxStatement("ret", [], [], null, _instructions.Count > 0 ? _instructions[^1].Line : _line, "end of the entry"));
        foreach ((PtxInstruction instruction, string label, PtxScope scope) in _branches)
        {
            string[] labels = instruction.Opcode == "brx"
                ? scope.Targets(label) ?? throw new PtxException($"{label} is no list of .branchtargets", instruction.Line, instruction.Text)
                : [label];
            int[] targets = [.. labels.Select(name => scope.Label(name)
                ?? throw new PtxException($"label {name} is not declared", instruction.Line, instruction.Text))];
            if (instruction.Opcode == "brx")
            {
                instruction.Targets = targets;
            }
            else
            {
                instruction.Target = targets[0];
            }
        }
        PtxInstruction[] instructions = [.. _instructions];
        ControlFlow flow = new(instructions);
        flow.SetReconvergence();
        bool tracks = RegisterValues.MarkChecks(instructions, flow, RegisterCount);
        return new PtxEntry
        {
            Name = _name,
            Line = _line,
            Parameters = _parameters,
            ParameterBytes = _parameterBytes,
            MaxThreads = _maxThreads,
            StaticSharedBytes = SharedBytes,
            DynamicSharedSymbol = _dynamicShared,
            DynamicSharedOffset = DynamicOffset,
            LocalBytes = LocalBytes,
            Instructions = instructions,
            RegisterBytes = _registerBytes,
            RegisterCount = RegisterCount,
            Constants = [.. _constants.Select(pair => new PtxConstant(pair.Value, pair.Key.Item1, pair.Key.Item2))],
            Specials = [.. _specials.Select(pair => new PtxSpecial(pair.Key, pair.Value))],
            TracksRegisters = tracks,
            HasGlobalAtomics = _instructions.Exists(i => i.Class == PtxOpClass.Atomic && i.Space != PtxSpace.Shared),
        };
    }

    // Static arrays declared after a use of the dynamic symbol would move it: PTX as compilers write it declares first.
    private int DynamicOffset => (SharedBytes + _dynamicAlign - 1) / _dynamicAlign * _dynamicAlign;

    private int Reserve(int bytes)
    {
        int slot = _registerBytes;
        _registerBytes = checked(_registerBytes + bytes);
        return slot;
    }
}
