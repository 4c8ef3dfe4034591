using System.Numerics;

namespace AttentionKernels.Tests.PtxEmulator;

internal sealed unsafe partial class Warp
{
    private readonly LocalMemory _local;
    private GlobalRange? _lastRange;

    public static void Load(Warp w, PtxInstruction i)
    {
        int size = i.Type.Bytes;
        int bytes = size * i.Destinations.Length;
        ulong* addresses = stackalloc ulong[32];
        bool harmless = w.AreReadOnly(i, addresses, bytes);
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            byte* source = harmless ? (byte*)addresses[lane] : w.Resolve(i, lane, bytes, false, out addresses[lane]);
            for (int e = 0; e < i.Destinations.Length; e++, source += size)
            {
                if (i.Destinations[e] >= 0)
                {
                    w.SetRaw(i.Destinations[e], i.VectorBits == 64, lane, Fetch(source, i.Type));
                }
            }
        }
        w.Count(i, addresses, bytes, false);
    }

    public static void Store(Warp w, PtxInstruction i)
    {
        int size = i.Type.Bytes;
        int bytes = size * i.Sources.Length;
        ulong* addresses = stackalloc ulong[32];
        ulong* targets = stackalloc ulong[32];
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            byte* target = w.Resolve(i, lane, bytes, true, out addresses[lane]);
            targets[lane] = (ulong)target;
            for (int e = 0; e < i.Sources.Length; e++, target += size)
            {
                ulong bits = w.Raw(i.Sources[e], i.VectorBits == 64, lane);
                switch (size)
                {
                    case 1:
                        *target = (byte)bits;
                        break;
                    case 2:
                        *(ushort*)target = (ushort)bits;
                        break;
                    case 4:
                        *(uint*)target = (uint)bits;
                        break;
                    default:
                        *(ulong*)target = bits;
                        break;
                }
            }
        }
        w.RequireOwnValues(i, targets, size);
        w.NoteSharedWrites(i, targets, bytes);
        w.Count(i, addresses, bytes, true);
    }

    /// <summary>ld.param: the same bytes for all lanes, checked by the decoder.</summary>
    public static void LoadParameter(Warp w, PtxInstruction i)
    {
        byte* source = w._block.Parameters + i.Immediate;
        foreach (int destination in i.Destinations)
        {
            ulong bits = Fetch(source, i.Type);
            source += i.Type.Bytes;
            for (uint left = w._mask; left != 0; left &= left - 1)
            {
                w.SetRaw(destination, i.VectorBits == 64, BitOperations.TrailingZeroCount(left), bits);
            }
        }
    }

    private static ulong Fetch(byte* source, PtxType type) => (type.Bytes, type.IsSigned) switch
    {
        (1, false) => *source,
        (1, true) => (ulong)*(sbyte*)source,
        (2, false) => *(ushort*)source,
        (2, true) => (ulong)*(short*)source,
        (4, false) => *(uint*)source,
        (4, true) => (ulong)*(int*)source,
        _ => *(ulong*)source,
    };

    // Fills the addresses, and says whether all of them lie in one aligned row of read-only global memory: then nothing is to check.
    private bool AreReadOnly(PtxInstruction i, ulong* addresses, int bytes)
    {
        if (i.Space != PtxSpace.Global || _lastRange is not GlobalRange range || range.Tags is not null)
        {
            return false;
        }
        ulong* starts = WideLanes(i.A);
        ulong lowest = ulong.MaxValue;
        ulong highest = 0;
        ulong bits = 0;
        for (uint left = _mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            ulong address = starts[lane] + (ulong)i.Immediate;
            addresses[lane] = address;
            lowest = Math.Min(lowest, address);
            highest = Math.Max(highest, address);
            bits |= address;
        }
        return (bits & (ulong)(bytes - 1)) == 0 && range.Holds(lowest, (uint)bytes) && range.Holds(highest, (uint)bytes);
    }

    // Lanes of one store may write the same bytes only if they write the same values: the device keeps any of them.
    private void RequireOwnValues(PtxInstruction i, ulong* targets, int size)
    {
        for (int e = 0; e < i.Sources.Length; e++)
        {
            ulong mask = size == 8 ? ulong.MaxValue : (1ul << (8 * size)) - 1;
            for (uint left = _mask; left != 0; left &= left - 1)
            {
                int lane = BitOperations.TrailingZeroCount(left);
                ulong written = Fetch((byte*)targets[lane] + (e * size), i.Type with { Kind = 'b' });
                if (written != (Raw(i.Sources[e], i.VectorBits == 64, lane) & mask))
                {
                    throw Error(i, lane, "race: another thread of the warp writes another value to the same bytes");
                }
            }
        }
    }

    private void NoteSharedWrites(PtxInstruction i, ulong* targets, int bytes)
    {
        SharedMemory shared = _block.Shared;
        for (uint left = i.Space is PtxSpace.Shared or PtxSpace.Generic ? _mask : 0; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            ulong at = targets[lane] - (ulong)shared.Data;
            if (at < (ulong)shared.Bytes)
            {
                shared.Write((int)at, bytes, Index, StampOf(lane));
            }
        }
    }

    /// <summary>What marks an access of a lane to shared memory: how often its warp synchronised, and the lane.</summary>
    private uint StampOf(int lane) => (_syncs << 6) | (uint)lane;

    // The host address of a lane's access, after all checks; address is the one in its space (space in Count).
    private byte* Resolve(PtxInstruction i, int lane, int bytes, bool write, out ulong address)
    {
        address = Raw(i.A, i.AWide, lane) + (ulong)i.Immediate;
        PtxSpace space = i.Space == PtxSpace.Generic ? AddressWindows.Resolve(ref address) : i.Space;
        if (!i.AWide && space != PtxSpace.Global)
        {
            address = (uint)address;
        }
        if ((address & (ulong)(bytes - 1)) != 0)
        {
            throw Error(i, lane, $"address 0x{address:x} is not aligned to {bytes} bytes");
        }
        return space switch
        {
            PtxSpace.Global => ResolveGlobal(i, lane, address, bytes, write),
            PtxSpace.Shared => ResolveShared(i, lane, address, bytes, write),
            _ => ResolveLocal(i, lane, address, bytes, write),
        };
    }

    private byte* ResolveGlobal(PtxInstruction i, int lane, ulong address, int bytes, bool write)
    {
        GlobalRange range = FindRange(i, lane, address, (uint)bytes, write);
        if (range.Tags is uint[] tags)
        {
            Span<uint> own = tags.AsSpan((int)(address - range.Start), bytes);
            bool atomic = i.Class == PtxOpClass.Atomic;
            if (atomic || !write)
            {
                CheckGlobalRead(i, lane, address, range, own, atomic);
            }
            if (write)
            {
                uint mine = atomic ? _block.Memory.AtomicTag : _block.Tag;
                foreach (ref uint tag in own)
                {
                    uint old = tag == mine ? mine : Interlocked.Exchange(ref tag, mine);
                    if (old >= _block.Memory.LaunchTag && old != mine && old != _block.Tag && !i.Strong)
                    {
                        throw Error(i, lane, $"race: {DescribeWriter(old)} wrote the same byte of {range.Name} in this launch");
                    }
                }
                if (!atomic && !i.Strong)
                {
                    CheckGlobalWrite(i, lane, address, range, bytes);
                }
            }
            else if (!i.Strong)
            {
                NoteGlobalRead(range, address, bytes, i.Constant ? _block.Memory.ConstantTag : _block.Tag);
            }
        }
        return (byte*)address;
    }

    private GlobalRange FindRange(PtxInstruction i, int lane, ulong address, uint bytes, bool write)
    {
        GlobalRange? range = _lastRange;
        if (range is null || !range.Holds(address, bytes))
        {
            range = SearchRange(i, lane, address, bytes);
        }
        if (write && !range.Writable)
        {
            throw Error(i, lane, $"writes {range.Name}, which is read-only");
        }
        return range;
    }

    private GlobalRange SearchRange(PtxInstruction i, int lane, ulong address, uint bytes)
    {
        GlobalRange? range = _block.Memory.Find(address);
        if (range is null || !range.Holds(address, bytes))
        {
            throw Error(i, lane, range is null
                ? $"out of bounds: {bytes} bytes at {_block.Memory.Describe(address)}"
                : $"out of bounds: {bytes} bytes at 0x{address:x} leave {range.Name} by {address + bytes - range.End}");
        }
        _lastRange = range;
        return range;
    }

    private void CheckGlobalRead(PtxInstruction i, int lane, ulong address, GlobalRange range, ReadOnlySpan<uint> tags, bool atomic)
    {
        for (int b = 0; b < tags.Length; b++)
        {
            uint tag = tags[b];
            if (tag == 0)
            {
                throw Error(i, lane, $"reads byte {address + (ulong)b - range.Start} of {range.Name}, which has no value");
            }
            if (tag >= _block.Memory.LaunchTag && i.Constant)
            {
                throw Error(i, lane, $"ld.global.nc of byte {address + (ulong)b - range.Start} of {range.Name}, which {DescribeWriter(tag)} wrote in this launch: it must not change while the kernel runs");
            }
            if (tag >= _block.Memory.LaunchTag && tag != _block.Tag && !i.Strong && !(atomic && tag == _block.Memory.AtomicTag))
            {
                throw Error(i, lane, $"race: reads byte {address + (ulong)b - range.Start} of {range.Name}, which {DescribeWriter(tag)} wrote in this launch");
            }
        }
    }

    // What a block read, no other one may write, and what was read as constant (ld.global.nc), nobody.
    private void CheckGlobalWrite(PtxInstruction i, int lane, ulong address, GlobalRange range, int bytes)
    {
        if (range.Readers is not uint[] readers)
        {
            return;
        }
        foreach (uint reader in readers.AsSpan((int)(address - range.Start), bytes))
        {
            if (reader >= _block.Memory.LaunchTag && reader != _block.Tag)
            {
                throw Error(
                    i, lane, $"race: writes {range.Name} at byte {address - range.Start}, which {(reader == _block.Memory.ConstantTag ? "ld.global.nc" : DescribeWriter(reader))} read in this launch");
            }
        }
    }

    private void NoteGlobalRead(GlobalRange range, ulong address, int bytes, uint mine)
    {
        if (range.Readers is null)
        {
            Interlocked.CompareExchange(ref range.Readers, new uint[range.Tags!.Length], null);
        }
        foreach (ref uint reader in range.Readers.AsSpan((int)(address - range.Start), bytes))
        {
            uint old = reader == mine || reader == _block.Memory.ConstantTag ? mine : Interlocked.Exchange(ref reader, mine);
            if (old >= _block.Memory.LaunchTag && old != mine)
            {
                reader = _block.Memory.ConstantTag; // several blocks: nobody may write it either
            }
        }
    }

    private string DescribeWriter(uint tag) =>
        tag == _block.Memory.AtomicTag ? "an atomic operation" : $"block {_block.IndexOf((int)(tag - _block.Memory.LaunchTag))}";

    private byte* ResolveShared(PtxInstruction i, int lane, ulong address, int bytes, bool write)
    {
        SharedMemory shared = _block.Shared;
        if (address + (ulong)bytes > (ulong)shared.Bytes)
        {
            throw Error(i, lane, $"out of bounds: {bytes} bytes at address {address} of {shared.Bytes} bytes of shared memory");
        }
        int at = (int)address;
        uint stamp = StampOf(lane);
        int bad = i.Class == PtxOpClass.Atomic ? shared.WriteAtomically(at, bytes, Index, stamp)
            : write ? shared.CheckWrite(at, bytes, Index, stamp)
            : shared.Read(at, bytes, Index, stamp);
        if (bad >= 0 && !(!write && HasOwnCopies(lane, at, bytes)))
        {
            throw Error(i, lane, write ? shared.DescribeWrite(bad, Index, stamp) : shared.DescribeRead(bad, Index));
        }
        return shared.Data + at;
    }

    private byte* ResolveLocal(PtxInstruction i, int lane, ulong address, int bytes, bool write)
    {
        if (address + (ulong)bytes > (ulong)_local.Bytes)
        {
            throw Error(i, lane, $"out of bounds: {bytes} bytes at address {address} of {_local.Bytes} bytes of local memory");
        }
        if (write)
        {
            _local.Write(lane, (int)address, bytes);
        }
        else if (!_local.HasValues(lane, (int)address, bytes))
        {
            throw Error(i, lane, $"reads {bytes} bytes at address {address} of local memory, which have no value");
        }
        return _local.Pointer(lane, (int)address);
    }

    private void Count(PtxInstruction i, ulong* addresses, int bytes, bool write)
    {
        if (i.Space == PtxSpace.Shared)
        {
            CountBanks(addresses, _mask, bytes);
        }
        else if (i.Space != PtxSpace.Local)
        {
            CountSectors(addresses, _mask, bytes, write);
        }
    }

    // Sectors of 32 bytes that the active lanes touch.
    private void CountSectors(ulong* addresses, uint mask, int bytes, bool write)
    {
        ulong* sectors = stackalloc ulong[32];
        int count = 0;
        int lanes = BitOperations.PopCount(mask);
        ulong highest = 0;
        for (uint left = mask; left != 0; left &= left - 1)
        {
            // Aligned accesses of up to 16 bytes lie in one sector. Most warps touch sectors in rising order.
            ulong sector = addresses[BitOperations.TrailingZeroCount(left)] / 32;
            if (sector > highest)
            {
                highest = sector;
                sectors[count++] = sector;
            }
            else if (sectors[count - 1] != sector && !new ReadOnlySpan<ulong>(sectors, count).Contains(sector))
            {
                sectors[count++] = sector;
            }
        }
        PtxCounts counts = _block.Counts;
        if (write)
        {
            counts.GlobalBytesWritten += (long)lanes * bytes;
            counts.GlobalSectorsWritten += count;
        }
        else
        {
            counts.GlobalBytesRead += (long)lanes * bytes;
            counts.GlobalSectorsRead += count;
        }
    }

    // Wavefronts of shared memory: up to 128 bytes in one pass; lanes that want different words of one bank need more passes.
    // Accesses of 8 and 16 bytes go in halves and quarters of the warp, through banks of their own size.
    private void CountBanks(ulong* addresses, uint mask, int bytes)
    {
        int shift = BitOperations.Log2((uint)Math.Max(4, bytes));
        int banks = 128 >> shift;
        ulong* holders = stackalloc ulong[32];   // unit that each bank serves first
        PtxCounts counts = _block.Counts;
        for (int first = 0; first < 32; first += banks)
        {
            uint lanes = banks == 32 ? mask : mask & (((1u << banks) - 1) << first);
            if (lanes == 0)
            {
                continue;
            }
            uint used = 0;
            bool conflict = false;
            for (uint left = lanes; left != 0; left &= left - 1)
            {
                ulong unit = addresses[BitOperations.TrailingZeroCount(left)] >> shift;
                int bank = (int)unit & (banks - 1);
                conflict |= (used >> bank & 1) != 0 && holders[bank] != unit;
                holders[bank] = unit;
                used |= 1u << bank;
            }
            int wavefronts = conflict ? CountConflicts(addresses, lanes, shift, banks) : 1;
            counts.SharedWavefronts += wavefronts;
            counts.BankConflicts += wavefronts - 1;
        }
    }

    // The most different units that lanes want from one bank.
    private static int CountConflicts(ulong* addresses, uint lanes, int shift, int banks)
    {
        byte* ways = stackalloc byte[32];
        new Span<byte>(ways, 32).Clear();
        int most = 1;
        for (uint left = lanes; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            ulong unit = addresses[lane] >> shift;
            bool known = false;
            for (uint before = lanes & ((1u << lane) - 1); before != 0 && !known; before &= before - 1)
            {
                known = addresses[BitOperations.TrailingZeroCount(before)] >> shift == unit;
            }
            if (!known)
            {
                most = Math.Max(most, ++ways[(int)unit & (banks - 1)]);
            }
        }
        return most;
    }
}
