using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>32 lanes that execute one instruction at a time, those for which it is not meant switched off.</summary>
/// <remarks>
/// The register file is [register][lane]: vector handlers treat eight lanes of 32 bits (four of 64) at once. Lanes that a branch
/// separated wait in a stack for the instruction where they meet (<see cref="ControlFlow"/>).
/// </remarks>
internal sealed unsafe partial class Warp : IDisposable
{
    private const uint All = uint.MaxValue;

    private readonly BlockRunner _block;
    private readonly byte* _registers;
    private readonly uint[] _hasValue;   // one mask for each register; only those that instructions check are kept
    private readonly Stack<(int Pc, uint Mask, int Meet)> _waiting = new();
    private readonly uint _existing;
    private int _pc;
    private int _meet;
    private uint _active;
    private uint _mask;
    private uint _exited;
    private uint _syncs;   // times that the warp's lanes, or the block, synchronised

    public Warp(BlockRunner block, int index, byte* registers)
    {
        _block = block;
        _registers = registers;
        _hasValue = new uint[block.Entry.TracksRegisters ? block.Entry.RegisterCount : 0];
        _local = new LocalMemory(block.Entry.LocalBytes);
        Index = index;
        int lanes = Math.Min(32, block.Shape.Threads - (32 * index));
        _existing = lanes == 32 ? All : (1u << lanes) - 1;
        foreach (PtxConstant constant in block.Entry.Constants)
        {
            for (int lane = 0; lane < 32; lane++)
            {
                SetRaw(constant.Slot, constant.Wide, lane, constant.Bits);
            }
        }
    }

    public int Index { get; }

    public WarpState State { get; private set; }

    /// <summary>Barrier that it waits at, and the instruction.</summary>
    public int Barrier { get; private set; }

    public PtxInstruction? Waiting { get; private set; }

    /// <summary>Prepares for the first instruction of a block.</summary>
    public void Begin()
    {
        _pc = 0;
        _meet = ControlFlow.Exit;
        _active = _existing;
        _exited = ~_existing;
        _syncs = 1;
        _waiting.Clear();
        Array.Clear(_hasValue);
        _local.Clear();
        _copies.Clear();
        _arrived.Clear();
        Array.Clear(_copyGroup);
        State = WarpState.Running;
        foreach (PtxSpecial special in _block.Entry.Specials)
        {
            for (int lane = 0; lane < 32; lane++)
            {
                SetRaw(special.Slot, false, lane, SpecialRegisters.Value(special.Name, _block.Shape, _block.Block, (32 * Index) + lane));
            }
        }
    }

    /// <summary>Executes to the next barrier or to the end.</summary>
    public void Run()
    {
        State = WarpState.Running;
        PtxStep[] steps = _block.Steps;
        while (State == WarpState.Running)
        {
            if (_pc == _meet || _active == 0)
            {
                Meet();
                continue;
            }
            ref PtxStep step = ref steps[_pc];
            step.Executed++;
            if (--_block.StepsLeft < 0)
            {
                throw Error(step.Instruction, null, "too many instructions: an endless loop?");
            }
            _pc++;
            _mask = _active;
            if (step.IsPlain)
            {
                step.Execute(this, step.Instruction);
            }
            else
            {
                ExecuteGuarded(step.Instruction);
            }
        }
    }

    private void ExecuteGuarded(PtxInstruction instruction)
    {
        if (instruction.Checked is not null)
        {
            Check(instruction);
        }
        if (instruction.Guard >= 0)
        {
            uint guard = Predicate(instruction.Guard);
            _mask &= instruction.GuardNegated ? ~guard : guard;
            if (_mask == 0)
            {
                return;
            }
        }
        instruction.Execute(this, instruction);
        if (instruction.Tracked is not null)
        {
            foreach (PtxRegister register in instruction.Tracked)
            {
                _hasValue[register.Id] |= _mask;
            }
        }
    }

    public void Dispose() => _local.Dispose();

    public PtxException Error(PtxInstruction instruction, int? lane, string problem) =>
        new(problem, instruction.Line, instruction.Text, _block.Block, lane is int l ? (32 * Index) + l : (int?)null);

    // Registers that it reads must have values in the lanes that execute it; the guard itself in all active lanes.
    private void Check(PtxInstruction instruction)
    {
        uint mask = _active;
        foreach (PtxRegister register in instruction.Checked!)
        {
            if (register.Slot == instruction.Guard)
            {
                CheckLanes(instruction, register, mask);
            }
        }
        if (instruction.Guard >= 0)
        {
            uint guard = Predicate(instruction.Guard);
            mask &= instruction.GuardNegated ? ~guard : guard;
        }
        foreach (PtxRegister register in instruction.Checked!)
        {
            CheckLanes(instruction, register, mask);
        }
    }

    private void CheckLanes(PtxInstruction instruction, PtxRegister register, uint mask)
    {
        uint missing = mask & ~_hasValue[register.Id];
        if (missing != 0)
        {
            throw Error(instruction, BitOperations.TrailingZeroCount(missing), $"register {register.Name} has no value");
        }
    }

    // All 32 lanes: what .sync.aligned instructions want.
    private void RequireWholeWarp(PtxInstruction i)
    {
        if (_mask != All)
        {
            int lane = BitOperations.TrailingZeroCount(~_mask);
            throw Error(i, lane, _existing != All || (_exited >> lane & 1) != 0
                ? "needs all 32 threads of the warp; this one does not exist or has exited"
                : "needs all 32 threads of the warp; this one diverged");
        }
    }

    private ref uint Predicate(int slot) => ref *(uint*)(_registers + slot);

    private uint* Lanes(int slot) => (uint*)(_registers + slot);

    private ulong* WideLanes(int slot) => (ulong*)(_registers + slot);

    private ulong Raw(int slot, bool wide, int lane) => slot < 0 ? 0 : wide ? WideLanes(slot)[lane] : Lanes(slot)[lane];

    private void SetRaw(int slot, bool wide, int lane, ulong bits)
    {
        if (wide)
        {
            WideLanes(slot)[lane] = bits;
        }
        else
        {
            Lanes(slot)[lane] = (uint)bits;
        }
    }

    // Vectors of lanes; at is a byte offset inside the register: 0, 32, 64, 96, and to 224 for 64 bits.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector256<uint> U32(int slot, int at) => Vector256.Load((uint*)(_registers + slot + at));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector256<ulong> U64(int slot, int at) => Vector256.Load((ulong*)(_registers + slot + at));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Put(PtxInstruction i, int at, Vector256<uint> value)
    {
        uint* target = (uint*)(_registers + i.D + at);
        if (_mask != All)
        {
            Vector256<uint> bits = Vector256.Create(1u, 2, 4, 8, 16, 32, 64, 128);
            Vector256<uint> on = Vector256.Equals(Vector256.Create(_mask >> (at / 4)) & bits, bits);
            value = Vector256.ConditionalSelect(on, value, Vector256.Load(target));
        }
        value.Store(target);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Put(PtxInstruction i, int at, Vector256<ulong> value)
    {
        ulong* target = (ulong*)(_registers + i.D + at);
        if (_mask != All)
        {
            Vector256<ulong> bits = Vector256.Create(1ul, 2, 4, 8);
            Vector256<ulong> on = Vector256.Equals(Vector256.Create((ulong)(_mask >> (at / 8))) & bits, bits);
            value = Vector256.ConditionalSelect(on, value, Vector256.Load(target));
        }
        value.Store(target);
    }
}
