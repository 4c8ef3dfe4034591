using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Shared memory of one block, with the last writer and the last readers of every byte.</summary>
/// <remarks>
/// A tag is the number of barriers passed (the epoch, from 1) times 64 plus who: a warp, or one of the special owners. A byte may be
/// read when its writer's epoch has ended or the writer is the reading warp, and written when this holds for writer and readers.
/// Bytes of asynchronous copies have the tag Pending until the wait and the owner Arrived until the next barrier.
/// </remarks>
internal sealed unsafe class SharedMemory : IDisposable
{
    private const int Padding = 32;
    private const ushort Pending = 0xffff;
    private const uint Several = 63;
    private const uint Arrived = 62;
    private const uint Atomic = 61;
    private const uint LastEpoch = 1022;

    private readonly byte* _data;
    private readonly ushort* _writers;
    private readonly ushort* _readers;
    private uint _epochBase;

    public SharedMemory(int bytes)
    {
        Bytes = bytes;
        _data = (byte*)NativeMemory.AlignedAlloc((nuint)(bytes + Padding), 64);
        _writers = (ushort*)NativeMemory.AlignedAlloc((nuint)(bytes + Padding) * 2, 64);
        _readers = (ushort*)NativeMemory.AlignedAlloc((nuint)(bytes + Padding) * 2, 64);
        Begin();
    }

    public int Bytes { get; }

    public byte* Data => _data;

    /// <summary>Nothing is written yet: a block begins.</summary>
    public void Begin()
    {
        _epochBase = 64;
        NativeMemory.Clear(_writers, (nuint)Bytes * 2);
        NativeMemory.Clear(_readers, (nuint)Bytes * 2);
    }

    /// <summary>All warps of the block passed a barrier.</summary>
    public void NextEpoch()
    {
        _epochBase += 64;
        if (_epochBase <= LastEpoch * 64)
        {
            return;
        }
        for (int i = 0; i < Bytes; i++)
        {
            if (_writers[i] is not 0 and not Pending)
            {
                _writers[i] = 64;
            }
            _readers[i] = 0;
        }
        _epochBase = 128;
    }

    /// <summary>Notes a read of 1 to 16 bytes inside the memory.</summary>
    /// <returns>Offset of the first byte that must not be read, -1 if there is none.</returns>
    public int Read(int address, int bytes, int warp)
    {
        ushort mine = (ushort)(_epochBase | (uint)warp);
        ushort* writers = _writers + address;
        ushort* readers = _readers + address;
        if (bytes == 16)
        {
            Vector256<ushort> written = Vector256.Load(writers);
            Vector256<ushort> old = written - Vector256.Create((ushort)64);
            Vector256<ushort> good = Vector256.LessThan(old, Vector256.Create((ushort)(_epochBase - 64)))
                | Vector256.Equals(written, Vector256.Create(mine));
            if (good != Vector256<ushort>.AllBitsSet)
            {
                return FirstBadRead(address, bytes, mine);
            }
            Vector256<ushort> read = Vector256.Load(readers);
            Vector256<ushort> other = Vector256.GreaterThanOrEqual(read, Vector256.Create((ushort)_epochBase))
                & ~Vector256.Equals(read, Vector256.Create(mine));
            Vector256.ConditionalSelect(other, Vector256.Create((ushort)(_epochBase | Several)), Vector256.Create(mine)).Store(readers);
            return -1;
        }
        int bad = FirstBadRead(address, bytes, mine);
        if (bad < 0)
        {
            for (int i = 0; i < bytes; i++)
            {
                readers[i] = readers[i] >= _epochBase && readers[i] != mine ? (ushort)(_epochBase | Several) : mine;
            }
        }
        return bad;
    }

    /// <summary>Notes a write of 1 to 16 bytes inside the memory.</summary>
    /// <returns>Offset of the first byte that must not be written, -1 if there is none.</returns>
    public int Write(int address, int bytes, int warp)
    {
        ushort mine = (ushort)(_epochBase | (uint)warp);
        int bad = FirstBadWrite(address, bytes, mine, mine);
        if (bad < 0)
        {
            new Span<ushort>(_writers + address, bytes).Fill(mine);
        }
        return bad;
    }

    /// <summary>Notes an atomic operation: it races with no other one.</summary>
    public int WriteAtomically(int address, int bytes, int warp)
    {
        ushort mine = (ushort)(_epochBase | (uint)warp);
        ushort atomic = (ushort)(_epochBase | Atomic);
        for (int i = address; i < address + bytes; i++)
        {
            if (_writers[i] == 0)
            {
                return i;
            }
        }
        int bad = FirstBadWrite(address, bytes, mine, atomic);
        if (bad < 0)
        {
            new Span<ushort>(_writers + address, bytes).Fill(atomic);
        }
        return bad;
    }

    /// <summary>Notes that an asynchronous copy may write these bytes from now on.</summary>
    public int BeginCopy(int address, int bytes, int warp)
    {
        ushort mine = (ushort)(_epochBase | (uint)warp);
        int bad = FirstBadWrite(address, bytes, mine, mine);
        if (bad < 0)
        {
            new Span<ushort>(_writers + address, bytes).Fill(Pending);
        }
        return bad;
    }

    /// <summary>Notes that the copy has arrived: its own thread sees the bytes now, the others after a barrier.</summary>
    public void EndCopy(int address, int bytes) =>
        new Span<ushort>(_writers + address, bytes).Fill((ushort)(_epochBase | Arrived));

    /// <summary>Lets the whole warp see bytes that arrived: bar.warp.sync.</summary>
    public void ShowToWarp(int address, int bytes, int warp)
    {
        for (int i = address; i < address + bytes; i++)
        {
            if (_writers[i] == (_epochBase | Arrived))
            {
                _writers[i] = (ushort)(_epochBase | (uint)warp);
            }
        }
    }

    /// <summary>Whether the byte arrived by an asynchronous copy since the last barrier.</summary>
    public bool HasArrived(int address) => _writers[address] == (_epochBase | Arrived);

    /// <summary>Why a byte must not be read.</summary>
    public string DescribeRead(int address, int warp) => _writers[address] switch
    {
        0 => $"reads byte {address} of shared memory, which has no value",
        Pending => $"reads byte {address} of shared memory while an asynchronous copy into it is in flight",
        ushort tag when (tag & 63) == Arrived => $"reads byte {address} of shared memory, which another thread's asynchronous copy wrote, before a barrier",
        ushort tag => $"race: warp {warp} reads byte {address} of shared memory, which {Owner(tag)} wrote, without a barrier between",
    };

    /// <summary>Why a byte must not be written.</summary>
    public string DescribeWrite(int address, int warp)
    {
        ushort writer = _writers[address];
        if (writer == Pending)
        {
            return $"writes byte {address} of shared memory while an asynchronous copy into it is in flight";
        }
        bool written = writer >= _epochBase && writer != (_epochBase | (uint)warp);
        return $"race: warp {warp} writes byte {address} of shared memory, which {Owner(written ? writer : _readers[address])} "
            + $"{(written ? "wrote" : "read")}, without a barrier between";
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_data);
        NativeMemory.AlignedFree(_writers);
        NativeMemory.AlignedFree(_readers);
    }

    private static string Owner(ushort tag) => (uint)(tag & 63) switch
    {
        Several => "several warps",
        Arrived => "an asynchronous copy",
        Atomic => "an atomic operation",
        uint warp => $"warp {warp}",
    };

    private int FirstBadRead(int address, int bytes, ushort mine)
    {
        for (int i = address; i < address + bytes; i++)
        {
            ushort tag = _writers[i];
            if ((tag < 64 || tag >= _epochBase) && tag != mine)
            {
                return i;
            }
        }
        return -1;
    }

    private int FirstBadWrite(int address, int bytes, ushort mine, ushort alsoGood)
    {
        for (int i = address; i < address + bytes; i++)
        {
            ushort writer = _writers[i];
            ushort reader = _readers[i];
            if ((writer >= _epochBase && writer != mine && writer != alsoGood) || (reader >= _epochBase && reader != mine))
            {
                return i;
            }
        }
        return -1;
    }
}
