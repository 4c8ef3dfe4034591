using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Shared memory of one block, with the last writer and the last readers of every byte.</summary>
/// <remarks>
/// A tag is the number of barriers passed (the epoch, from 1) times 64 plus who: a warp, or one of the special owners. A byte may be
/// read when its writer's epoch has ended or the writer is the reading warp, and written when this holds for writer and readers.
/// Bytes of asynchronous copies have the tag Pending until the wait and the owner Arrived until the next barrier.
/// <para>
/// Lanes of a warp run apart on the device (Volta and newer), also where this emulator keeps them together: what one of them wrote or
/// read, another one may touch only after bar.warp.sync or a barrier. shfl, vote and mma wait for lanes, but order no memory. So a stamp beside
/// each tag has the number of times that the warp synchronised, times 64, plus the lane.
/// </para>
/// </remarks>
internal sealed unsafe class SharedMemory : IDisposable
{
    private const int Padding = 32;
    private const ushort Pending = 0xffff;
    private const uint Several = 63;
    private const uint Arrived = 62;
    private const uint Atomic = 61;
    private const uint LastEpoch = 1022;

    /// <summary>Lane of a stamp: more than one, or an access of the whole warp (ldmatrix).</summary>
    public const uint SeveralLanes = 63;

    private readonly byte* _data;
    private readonly ushort* _writers;
    private readonly ushort* _readers;
    private readonly uint* _writerStamps;
    private readonly uint* _readerStamps;
    private uint _epochBase;

    public SharedMemory(int bytes)
    {
        Bytes = bytes;
        _data = (byte*)NativeMemory.AlignedAlloc((nuint)(bytes + Padding), 64);
        _writers = (ushort*)NativeMemory.AlignedAlloc((nuint)(bytes + Padding) * 2, 64);
        _readers = (ushort*)NativeMemory.AlignedAlloc((nuint)(bytes + Padding) * 2, 64);
        _writerStamps = (uint*)NativeMemory.AlignedAlloc((nuint)(bytes + Padding) * 4, 64);
        _readerStamps = (uint*)NativeMemory.AlignedAlloc((nuint)(bytes + Padding) * 4, 64);
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
        NativeMemory.Clear(_writerStamps, (nuint)Bytes * 4);
        NativeMemory.Clear(_readerStamps, (nuint)Bytes * 4);
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
    public int Read(int address, int bytes, int warp, uint stamp)
    {
        ushort mine = (ushort)(_epochBase | (uint)warp);
        ushort* writers = _writers + address;
        ushort* readers = _readers + address;
        if (bytes == 16)
        {
            Vector256<ushort> written = Vector256.Load(writers);
            Vector256<ushort> old = written - Vector256.Create((ushort)64);
            Vector256<ushort> own = Vector256.Equals(written, Vector256.Create(mine));
            Vector256<ushort> good = Vector256.LessThan(old, Vector256.Create((ushort)(_epochBase - 64))) | own;
            if (good != Vector256<ushort>.AllBitsSet || (own != default && !AreOrdered(_writerStamps + address, 16, stamp)))
            {
                return FirstBadRead(address, bytes, mine, stamp);
            }
            Vector256<ushort> read = Vector256.Load(readers);
            Vector256<ushort> other = Vector256.GreaterThanOrEqual(read, Vector256.Create((ushort)_epochBase))
                & ~Vector256.Equals(read, Vector256.Create(mine));
            Vector256.ConditionalSelect(other, Vector256.Create((ushort)(_epochBase | Several)), Vector256.Create(mine)).Store(readers);
            StampReads(address, 16, stamp);
            return -1;
        }
        if (bytes == 4)
        {
            // Nearly always the four bytes have one writer and one reader.
            ulong written = *(ulong*)writers;
            ulong read = *(ulong*)readers;
            ushort tag = (ushort)written;
            ushort reader = (ushort)read;
            if (written == tag * 0x0001_0001_0001_0001ul && read == reader * 0x0001_0001_0001_0001ul
                && ((tag >= 64 && tag < _epochBase) || (tag == mine && AreOrdered(_writerStamps + address, 4, stamp))) && (reader < _epochBase || reader == mine))
            {
                *(ulong*)readers = mine * 0x0001_0001_0001_0001ul;
                StampReads(address, 4, stamp);
                return -1;
            }
        }
        int bad = FirstBadRead(address, bytes, mine, stamp);
        if (bad < 0)
        {
            for (int i = 0; i < bytes; i++)
            {
                readers[i] = readers[i] >= _epochBase && readers[i] != mine ? (ushort)(_epochBase | Several) : mine;
            }
            StampReads(address, bytes, stamp);
        }
        return bad;
    }

    /// <summary>Whether 1 to 16 bytes inside the memory may be written.</summary>
    /// <returns>Offset of the first byte that must not be written, -1 if there is none.</returns>
    public int CheckWrite(int address, int bytes, int warp, uint stamp)
    {
        ushort mine = (ushort)(_epochBase | (uint)warp);
        return FirstBadWrite(address, bytes, mine, Atomic, stamp);
    }

    /// <summary>Notes a write that was checked, once all lanes of the instruction are: these may write one byte with one value.</summary>
    public void Write(int address, int bytes, int warp, uint stamp)
    {
        new Span<ushort>(_writers + address, bytes).Fill((ushort)(_epochBase | (uint)warp));
        new Span<uint>(_writerStamps + address, bytes).Fill(stamp);
    }

    /// <summary>Notes an atomic operation: it races with no other one.</summary>
    public int WriteAtomically(int address, int bytes, int warp, uint stamp)
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
        int bad = FirstBadWrite(address, bytes, mine, atomic, stamp);
        if (bad < 0)
        {
            new Span<ushort>(_writers + address, bytes).Fill(atomic);
        }
        return bad;
    }

    /// <summary>Notes that an asynchronous copy may write these bytes from now on.</summary>
    public int BeginCopy(int address, int bytes, int warp, uint stamp)
    {
        ushort mine = (ushort)(_epochBase | (uint)warp);
        int bad = FirstBadWrite(address, bytes, mine, Atomic, stamp);
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
    /// <param name="address">First byte.</param>
    /// <param name="bytes">Bytes of the copy.</param>
    /// <param name="warp">Warp.</param>
    /// <param name="before">A stamp from before it.</param>
    public void ShowToWarp(int address, int bytes, int warp, uint before)
    {
        for (int i = address; i < address + bytes; i++)
        {
            if (_writers[i] == (_epochBase | Arrived))
            {
                _writers[i] = (ushort)(_epochBase | (uint)warp);
                _writerStamps[i] = before;
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
        ushort tag when tag == (_epochBase | (uint)warp) => $"race: reads byte {address} of shared memory, which {Lane(_writerStamps[address])} wrote, without bar.warp.sync between",
        ushort tag => $"race: warp {warp} reads byte {address} of shared memory, which {Owner(tag)} wrote, without a barrier between",
    };

    /// <summary>Why a byte must not be written.</summary>
    public string DescribeWrite(int address, int warp, uint stamp)
    {
        ushort writer = _writers[address], mine = (ushort)(_epochBase | (uint)warp);
        if (writer == Pending)
        {
            return $"writes byte {address} of shared memory while an asynchronous copy into it is in flight";
        }
        bool afterOwn = writer == mine && !IsOrdered(_writerStamps[address], stamp);
        if (afterOwn || (_readers[address] == mine && (writer < _epochBase || writer == mine)))
        {
            return $"race: writes byte {address} of shared memory, which {Lane(afterOwn ? _writerStamps[address] : _readerStamps[address])} "
                + $"{(afterOwn ? "wrote" : "read")}, without bar.warp.sync between";
        }
        bool written = writer >= _epochBase && writer != mine;
        return $"race: warp {warp} writes byte {address} of shared memory, which {Owner(written ? writer : _readers[address])} "
            + $"{(written ? "wrote" : "read")}, without a barrier between";
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_data);
        NativeMemory.AlignedFree(_writers);
        NativeMemory.AlignedFree(_readers);
        NativeMemory.AlignedFree(_writerStamps);
        NativeMemory.AlignedFree(_readerStamps);
    }

    // Whether an access of the same warp is ordered before one with this stamp: by a synchronisation, or because the same lane did both.
    private static bool IsOrdered(uint before, uint stamp) => before >> 6 < stamp >> 6 || (before == stamp && (stamp & 63) != SeveralLanes);

    private static bool AreOrdered(uint* before, int bytes, uint stamp)
    {
        for (int i = 0; i < bytes; i++)
        {
            if (!IsOrdered(before[i], stamp))
            {
                return false;
            }
        }
        return true;
    }

    private static string Lane(uint stamp) => (stamp & 63) == SeveralLanes ? "other lanes of its warp" : $"lane {stamp & 63} of its warp";

    private void StampReads(int address, int bytes, uint stamp)
    {
        for (uint* s = _readerStamps + address, end = s + bytes; s < end; s++)
        {
            *s = *s != stamp && *s >> 6 == stamp >> 6 ? stamp | SeveralLanes : stamp;
        }
    }

    private static string Owner(ushort tag) => (uint)(tag & 63) switch
    {
        Several => "several warps",
        Arrived => "an asynchronous copy",
        Atomic => "an atomic operation",
        uint warp => $"warp {warp}",
    };

    private int FirstBadRead(int address, int bytes, ushort mine, uint stamp)
    {
        for (int i = address; i < address + bytes; i++)
        {
            ushort tag = _writers[i];
            if (tag == mine ? !IsOrdered(_writerStamps[i], stamp) : tag < 64 || tag >= _epochBase)
            {
                return i;
            }
        }
        return -1;
    }

    private int FirstBadWrite(int address, int bytes, ushort mine, uint alsoGood, uint stamp)
    {
        if (bytes == 16)
        {
            Vector256<ushort> epoch = Vector256.Create((ushort)_epochBase);
            Vector256<ushort> good = Vector256.LessThan(Vector256.Load(_writers + address), epoch) & Vector256.LessThan(Vector256.Load(_readers + address), epoch);
            if (good == Vector256<ushort>.AllBitsSet)
            {
                return -1;
            }
        }
        for (int i = address; i < address + bytes; i++)
        {
            ushort writer = _writers[i];
            ushort reader = _readers[i];
            bool afterWrite = writer < _epochBase || writer == alsoGood || (writer == mine && IsOrdered(_writerStamps[i], stamp));
            bool afterRead = reader < _epochBase || (reader == mine && IsOrdered(_readerStamps[i], stamp));
            if (!afterWrite || !afterRead)
            {
                return i;
            }
        }
        return -1;
    }
}
