using System.Numerics;

namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>cp.async: the data arrive when the thread waits for its group, at the latest possible moment.</summary>
internal sealed unsafe partial class Warp
{
    private readonly List<AsyncCopy> _copies = [];
    private readonly List<(int Lane, int Address, int Bytes)> _arrived = [];   // since the last barrier
    private readonly int[] _copyGroup = new int[32];                          // group that each lane fills

    /// <summary>A: shared address, B: global address, C: bytes to read (-1: all of Immediate); Sources[0]: predicate that reads nothing.</summary>
    public static void CopyAsync(Warp w, PtxInstruction i)
    {
        int bytes = (int)i.Immediate;
        ulong* targets = stackalloc ulong[32];
        ulong* sources = stackalloc ulong[32];
        uint readers = 0;
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            ulong target = w.Raw(i.A, i.AWide, lane) + (ulong)i.OffsetA;
            ulong source = w.Raw(i.B, true, lane) + (ulong)i.OffsetB;
            uint wanted = i.C < 0 ? (uint)bytes : w.Lanes(i.C)[lane];
            if (i.Sources.Length > 0 && ((w.Predicate(i.Sources[0]) ^ (i.NegatedC ? All : 0)) >> lane & 1) != 0)
            {
                wanted = 0;
            }
            targets[lane] = target;
            sources[lane] = source;
            if (wanted > bytes)
            {
                throw w.Error(i, lane, $"reads {wanted} bytes for a copy of {bytes}");
            }
            if (target + (uint)bytes > (ulong)w._block.Shared.Bytes)
            {
                throw w.Error(i, lane, $"out of bounds: {bytes} bytes at address {target} of {w._block.Shared.Bytes} bytes of shared memory");
            }
            // The source must be aligned even where nothing of it is read.
            if (((target | source) & (uint)(bytes - 1)) != 0)
            {
                throw w.Error(i, lane, $"address {((target & (uint)(bytes - 1)) != 0 ? target : source):x} is not aligned to {bytes} bytes");
            }
            AsyncCopy copy = new() { Instruction = i, Lane = lane, Group = w._copyGroup[lane], Target = (int)target, Bytes = bytes, Wanted = (int)wanted, Source = source };
            if (wanted > 0)
            {
                GlobalRange range = w.FindRange(i, lane, source, wanted, false);
                if (range.Tags is uint[] tags)
                {
                    w.CheckGlobalRead(i, lane, source, range, tags.AsSpan((int)(source - range.Start), (int)wanted), false);
                    w.NoteGlobalRead(range, source, (int)wanted, w._block.Tag);
                }
                new ReadOnlySpan<byte>((byte*)source, (int)wanted).CopyTo(new Span<byte>(&copy.Data, 16));
                readers |= 1u << lane;
            }
            int bad = w._block.Shared.BeginCopy((int)target, bytes, w.Index, w.StampOf(lane));
            if (bad >= 0)
            {
                throw w.Error(i, lane, w._block.Shared.DescribeWrite(bad, w.Index, w.StampOf(lane)));
            }
            w._copies.Add(copy);
        }
        w.CountBanks(targets, w._mask, bytes);
        w.CountSectors(sources, readers, bytes, false);
    }

    public static void CommitGroup(Warp w, PtxInstruction i)
    {
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            w._copyGroup[BitOperations.TrailingZeroCount(left)]++;
        }
    }

    /// <summary>Immediate: groups that may stay in flight; -1 for wait_all, which also waits for copies of no group.</summary>
    public static void WaitGroup(Warp w, PtxInstruction i)
    {
        int kept = 0;
        for (int c = 0; c < w._copies.Count; c++)
        {
            AsyncCopy copy = w._copies[c];
            int lane = copy.Lane;
            bool done = (w._mask >> lane & 1) != 0 && (i.Immediate < 0 || copy.Group < w._copyGroup[lane] - i.Immediate);
            if (done)
            {
                w.Arrive(copy);
            }
            else
            {
                w._copies[kept++] = copy;
            }
        }
        w._copies.RemoveRange(kept, w._copies.Count - kept);
    }

    private void Arrive(AsyncCopy copy)
    {
        ReadOnlySpan<byte> data = new(&copy.Data, 16);
        if (!data[..copy.Wanted].SequenceEqual(new ReadOnlySpan<byte>((byte*)copy.Source, copy.Wanted)))
        {
            throw Error(copy.Instruction, copy.Lane, "race: the source of this asynchronous copy changed while it was in flight");
        }
        data[..copy.Bytes].CopyTo(new Span<byte>(_block.Shared.Data + copy.Target, copy.Bytes));
        _block.Shared.EndCopy(copy.Target, copy.Bytes);
        _arrived.Add((copy.Lane, copy.Target, copy.Bytes));
    }

    // A thread may read what its own copies brought without a barrier.
    private bool HasOwnCopies(int lane, int address, int bytes)
    {
        for (int b = address; b < address + bytes; b++)
        {
            if (!_block.Shared.HasArrived(b) || !_arrived.Exists(copy => copy.Lane == lane && b >= copy.Address && b < copy.Address + copy.Bytes))
            {
                return false;
            }
        }
        return true;
    }
}
