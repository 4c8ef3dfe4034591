namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>
/// Device memory of the emulator: ranges of host memory, so that a device address is a host address. What lies outside them cannot
/// be read or written. The caller owns the memory and keeps it alive and in place.
/// </summary>
/// <remarks>
/// A byte that two blocks of a launch write, or that one of them reads and another one writes, is an error, and so is any write to a byte that the launch reads by ld.global.nc.
/// Not found: threads of one block that exchange global bytes by plain loads without a barrier.
/// </remarks>
internal sealed unsafe class GlobalMemory
{
    private const uint FirstTag = 2;

    private GlobalRange[] _ranges = [];   // in order of their addresses
    private uint _nextTag = FirstTag;

    /// <summary>Tag of block 0 of the launch in progress; block b has this + b.</summary>
    internal uint LaunchTag { get; private set; }

    /// <summary>Tag of bytes that atomic operations of this launch wrote.</summary>
    internal uint AtomicTag { get; private set; }

    /// <summary>Among readers: the byte was read as constant or by several blocks, so that nobody may write it in this launch.</summary>
    internal uint ConstantTag { get; private set; }

    /// <summary>All memory of the process, all of it with values and writable: nothing is found out.</summary>
    public static GlobalMemory Everything() => new() { _ranges = [new GlobalRange(1, AddressWindows.Shared, "memory") { Writable = true }] };

    /// <summary>Registers memory; the same range again adds the rights that it lacked.</summary>
    /// <param name="start">First byte.</param>
    /// <param name="bytes">Length, at least 1.</param>
    /// <param name="initialised">Whether the bytes have values; if not, reading one that no kernel wrote is an error.</param>
    /// <param name="writable">Whether kernels may write it.</param>
    /// <param name="name">Name in messages.</param>
    /// <exception cref="ArgumentException">The range overlaps another one without being equal to it.</exception>
    public void Register(void* start, nuint bytes, bool initialised, bool writable, string name)
    {
        ulong first = (ulong)start;
        ArgumentOutOfRangeException.ThrowIfZero(bytes);
        int at = 0;
        while (at < _ranges.Length && _ranges[at].Start < first)
        {
            at++;
        }
        if (at < _ranges.Length && _ranges[at].Start == first && _ranges[at].End == first + bytes)
        {
            GlobalRange same = _ranges[at];
            same.Writable |= writable;
            if (initialised && same.Tags is not null)
            {
                MarkInitialised(start, bytes);
            }
            if (same.Writable && same.Tags is null)
            {
                same.Tags = NewTags(bytes, true);
            }
            return;
        }
        if ((at < _ranges.Length && _ranges[at].Start < first + bytes) || (at > 0 && _ranges[at - 1].End > first))
        {
            throw new ArgumentException($"{name} overlaps another range");
        }
        GlobalRange range = new(first, bytes, name)
        {
            Writable = writable,
            Tags = writable || !initialised ? NewTags(bytes, initialised) : null,
        };
        _ranges = [.. _ranges[..at], range, .. _ranges[at..]];
    }

    /// <summary>Forgets a range.</summary>
    /// <exception cref="ArgumentException">No range begins there.</exception>
    public void Unregister(void* start)
    {
        int at = Array.FindIndex(_ranges, range => range.Start == (ulong)start);
        if (at < 0)
        {
            throw new ArgumentException("no range begins there");
        }
        _ranges = [.. _ranges[..at], .. _ranges[(at + 1)..]];
    }

    /// <summary>Says that the host wrote these bytes.</summary>
    public void MarkInitialised(void* start, nuint bytes) => Mark((ulong)start, bytes, 1);

    /// <summary>Says that these bytes have no values any more: reading them is an error.</summary>
    public void MarkUninitialised(void* start, nuint bytes) => Mark((ulong)start, bytes, 0);

    /// <summary>Range that holds the address; null without one.</summary>
    internal GlobalRange? Find(ulong address)
    {
        int low = 0;
        int high = _ranges.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) / 2;
            GlobalRange range = _ranges[middle];
            if (address < range.Start)
            {
                high = middle - 1;
            }
            else if (address >= range.End)
            {
                low = middle + 1;
            }
            else
            {
                return range;
            }
        }
        return null;
    }

    /// <summary>What lies near an address that is in no range.</summary>
    internal string Describe(ulong address)
    {
        GlobalRange? before = _ranges.LastOrDefault(range => range.End <= address);
        GlobalRange? after = _ranges.FirstOrDefault(range => range.Start > address);
        string near = (before, after) switch
        {
            (null, null) => "no memory is registered",
            (not null, _) when after is null || address - before.End < after.Start - address => $"{address - before.End} bytes behind the end of {before.Name}",
            _ => $"{after!.Start - address} bytes before {after.Name}",
        };
        return $"0x{address:x} ({near})";
    }

    internal void BeginLaunch(long blocks)
    {
        // Tags of old launches become "written before" when the numbers run out.
        if (_nextTag + blocks + 2 >= uint.MaxValue)
        {
            foreach (GlobalRange range in _ranges)
            {
                for (int i = 0; i < (range.Tags?.Length ?? 0); i++)
                {
                    range.Tags![i] = Math.Min(range.Tags[i], 1);
                }
                range.Readers = null;
            }
            _nextTag = FirstTag;
        }
        LaunchTag = _nextTag;
        _nextTag += (uint)blocks;
        AtomicTag = _nextTag++;
        ConstantTag = _nextTag++;
    }

    internal uint TagOf(int block) => LaunchTag + (uint)block;

    private static uint[] NewTags(nuint bytes, bool initialised)
    {
        uint[] tags = new uint[bytes];
        if (initialised)
        {
            Array.Fill(tags, 1u);
        }
        return tags;
    }

    private void Mark(ulong start, nuint bytes, uint tag)
    {
        GlobalRange range = Find(start) ?? throw new ArgumentException("the bytes are in no range");
        if (start + bytes > range.End)
        {
            throw new ArgumentException("the bytes leave their range");
        }
        if (range.Tags == null && range.Writable)
        {
            return;
        }
        range.Tags ??= NewTags((nuint)(range.End - range.Start), true);
        range.Tags.AsSpan((int)(start - range.Start), (int)bytes).Fill(tag);
    }
}
