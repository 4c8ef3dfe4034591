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
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            byte* source = w.Resolve(i, lane, bytes, false, out addresses[lane]);
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
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            byte* target = w.Resolve(i, lane, bytes, true, out addresses[lane]);
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
            }
        }
        return (byte*)address;
    }

    private GlobalRange FindRange(PtxInstruction i, int lane, ulong address, uint bytes, bool write)
    {
        GlobalRange? range = _lastRange;
        if (range is null || !range.Holds(address, bytes))
        {
            range = _block.Memory.Find(address);
            if (range is null || !range.Holds(address, bytes))
            {
                throw Error(i, lane, range is null
                    ? $"out of bounds: {bytes} bytes at {_block.Memory.Describe(address)}"
                    : $"out of bounds: {bytes} bytes at 0x{address:x} leave {range.Name} by {address + bytes - range.End}");
            }
            _lastRange = range;
        }
        if (write && !range.Writable)
        {
            throw Error(i, lane, $"writes {range.Name}, which is read-only");
        }
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
            if (tag >= _block.Memory.LaunchTag && tag != _block.Tag && !i.Strong && !(atomic && tag == _block.Memory.AtomicTag))
            {
                throw Error(i, lane, $"race: reads byte {address + (ulong)b - range.Start} of {range.Name}, which {DescribeWriter(tag)} wrote in this launch");
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
        int bad = i.Class == PtxOpClass.Atomic ? shared.WriteAtomically(at, bytes, Index)
            : write ? shared.Write(at, bytes, Index)
            : shared.Read(at, bytes, Index);
        if (bad >= 0 && !(!write && HasOwnCopies(lane, at, bytes)))
        {
            throw Error(i, lane, write ? shared.DescribeWrite(bad, Index) : shared.DescribeRead(bad, Index));
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
        ulong* sectors = stackalloc ulong[64];
        int count = 0;
        int lanes = BitOperations.PopCount(mask);
        for (uint left = mask; left != 0; left &= left - 1)
        {
            ulong sector = addresses[BitOperations.TrailingZeroCount(left)] / 32;
            int known = count - 1;
            while (known >= 0 && sectors[known] != sector)
            {
                known--;
            }
            if (known < 0)
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
    // Accesses of 8 and 16 bytes go in halves and quarters of the warp.
    private void CountBanks(ulong* addresses, uint mask, int bytes)
    {
        int unit = Math.Max(4, bytes);
        int groups = 128 / unit;
        byte* ways = stackalloc byte[32];
        for (int first = 0; first < 32; first += groups)
        {
            uint lanes = groups == 32 ? mask : mask & (((1u << groups) - 1) << first);
            if (lanes == 0)
            {
                continue;
            }
            new Span<byte>(ways, 32).Clear();
            int most = 1;
            for (uint left = lanes; left != 0; left &= left - 1)
            {
                int lane = BitOperations.TrailingZeroCount(left);
                ulong id = addresses[lane] / (uint)unit;
                int bank = (int)(id % (uint)groups);
                if (ways[bank] != 0 && IsAmong(addresses, lanes & ((1u << lane) - 1), (uint)unit, id))
                {
                    continue;
                }
                ways[bank]++;
                most = Math.Max(most, ways[bank]);
            }
            _block.Counts.SharedWavefronts += most;
            _block.Counts.BankConflicts += most - 1;
        }
    }

    private static bool IsAmong(ulong* addresses, uint lanes, uint unit, ulong id)
    {
        for (uint left = lanes; left != 0; left &= left - 1)
        {
            if (addresses[BitOperations.TrailingZeroCount(left)] / unit == id)
            {
                return true;
            }
        }
        return false;
    }
}
