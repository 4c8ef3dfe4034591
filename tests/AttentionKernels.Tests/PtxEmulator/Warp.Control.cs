using System.Numerics;

namespace AttentionKernels.Tests.PtxEmulator;

internal sealed unsafe partial class Warp
{
    public static void Branch(Warp w, PtxInstruction i)
    {
        uint taken = w._mask;
        uint rest = w._active & ~taken;
        if (rest == 0)
        {
            w._pc = i.Target;
            return;
        }
        if (i.Uniform)
        {
            throw w.Error(i, BitOperations.TrailingZeroCount(rest), "divergence at bra.uni: this thread does not branch, another one does");
        }
        w.Separate(i);
        if (w._pc != i.Reconvergence)
        {
            w._waiting.Push((w._pc, rest, i.Reconvergence));
        }
        w.Follow(i.Target, taken, i.Reconvergence);
    }

    /// <summary>brx.idx: a jump through a table.</summary>
    public static void BranchTable(Warp w, PtxInstruction i)
    {
        uint left = w._mask;
        uint rest = w._active & ~left;
        uint first = w.Group(i, left);
        if (first == w._active)
        {
            w._pc = i.Targets[w.Lanes(i.A)[BitOperations.TrailingZeroCount(first)]];
            return;
        }
        if (i.Uniform)
        {
            throw w.Error(i, null, "divergence at brx.idx.uni");
        }
        w.Separate(i);
        if (rest != 0 && w._pc != i.Reconvergence)
        {
            w._waiting.Push((w._pc, rest, i.Reconvergence));
        }
        while (left != 0)
        {
            uint group = w.Group(i, left);
            int target = i.Targets[w.Lanes(i.A)[BitOperations.TrailingZeroCount(group)]];
            if (target != i.Reconvergence)
            {
                w._waiting.Push((target, group, i.Reconvergence));
            }
            left &= ~group;
        }
        w._active = 0;
    }

    /// <summary>ret and exit.</summary>
    public static void Exit(Warp w, PtxInstruction i)
    {
        w._exited |= w._mask;
        w._active &= ~w._mask;
    }

    public static void Trap(Warp w, PtxInstruction i) =>
        throw w.Error(i, BitOperations.TrailingZeroCount(w._mask), "trap");

    public static void BarrierSync(Warp w, PtxInstruction i)
    {
        uint number = w.Lanes(i.A)[BitOperations.TrailingZeroCount(w._mask)];
        uint missing = w._existing & ~w._mask;
        if (missing != 0)
        {
            int lane = BitOperations.TrailingZeroCount(missing);
            throw w.Error(i, lane, (w._exited >> lane & 1) != 0 ? "this thread exited before a barrier of its block" : "divergence at a barrier");
        }
        if (number > 15)
        {
            throw w.Error(i, null, $"there is no barrier {number}");
        }
        if (i.B >= 0 && w.Lanes(i.B)[0] != w._block.Shape.Threads)
        {
            throw w.Error(i, null, $"barriers of a part of the block are not supported: {w.Lanes(i.B)[0]} of {w._block.Shape.Threads} threads");
        }
        w.Barrier = (int)number;
        w.Waiting = i;
        w.State = WarpState.AtBarrier;
        if (i.Mode != 's')
        {
            uint source = w.Predicate(i.C);
            w.Contribution = (i.NegatedC ? ~source : source) & w._existing;
        }
    }

    /// <summary>Predicates that bar.red contributes.</summary>
    public uint Contribution { get; private set; }

    public int Threads => BitOperations.PopCount(_existing);

    /// <summary>The block has met: gives the result of bar.red, counted over all warps.</summary>
    public void Release(int trueThreads, int threads)
    {
        PtxInstruction i = Waiting!;
        _arrived.Clear();
        _syncs++;
        switch (i.Mode)
        {
            case 'p':
                new Span<uint>(Lanes(i.D), 32).Fill((uint)trueThreads);
                break;
            case 'a':
                Predicate(i.D) = trueThreads == threads ? All : 0;
                break;
            case 'o':
                Predicate(i.D) = trueThreads > 0 ? All : 0;
                break;
        }
    }

    /// <summary>bar.warp.sync: all threads of the mask must be here.</summary>
    public static void WarpSync(Warp w, PtxInstruction i)
    {
        w.RequireMembers(i, w.Lanes(i.A));
        if ((w._existing & ~w._exited & ~w._mask) != 0)
        {
            return; // orders the memory of some lanes only: not followed
        }
        uint before = w.StampOf((int)SharedMemory.SeveralLanes);
        w._syncs++;
        foreach ((int _, int address, int bytes) in w._arrived)
        {
            w._block.Shared.ShowToWarp(address, bytes, w.Index, before);
        }
    }

    /// <summary>Fences, prefetches, nanosleep: nothing to do where every access happens at once and in order.</summary>
    public static void Nothing(Warp w, PtxInstruction i)
    {
    }

    // The lanes that execute it must be exactly the living ones of the member mask.
    private void RequireMembers(PtxInstruction i, uint* masks)
    {
        for (uint left = _mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            uint members = masks[lane];
            if ((members >> lane & 1) == 0)
            {
                throw Error(i, lane, $"the member mask 0x{members:x8} lacks this thread");
            }
            uint missing = members & ~_mask & ~_exited;
            if (missing != 0)
            {
                throw Error(i, BitOperations.TrailingZeroCount(missing), $"divergence: the member mask 0x{members:x8} has this thread, which does not execute it");
            }
        }
    }

    // Lanes that were together go separate ways until the reconvergence point.
    private void Separate(PtxInstruction i)
    {
        _block.Counts.DivergentBranches++;
        if (i.Reconvergence != _meet && i.Reconvergence != ControlFlow.Exit)
        {
            _waiting.Push((i.Reconvergence, _active, _meet));
        }
    }

    private void Follow(int target, uint lanes, int meet)
    {
        _pc = target;
        _active = target == meet ? 0 : lanes;
        _meet = meet;
    }

    // Lanes with the same target as the first one.
    private uint Group(PtxInstruction i, uint lanes)
    {
        uint* index = Lanes(i.A);
        uint same = 0;
        uint first = index[BitOperations.TrailingZeroCount(lanes)];
        for (uint left = lanes; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            if (index[lane] >= i.Targets.Length)
            {
                throw Error(i, lane, $"index {index[lane]} of a table of {i.Targets.Length}");
            }
            if (i.Targets[index[lane]] == i.Targets[first])
            {
                same |= 1u << lane;
            }
        }
        return same;
    }

    // These lanes are where they meet, or have exited: the next ones in the stack go on.
    private void Meet()
    {
        while (_waiting.TryPop(out (int Pc, uint Mask, int Meet) next))
        {
            uint lanes = next.Mask & ~_exited;
            if (lanes != 0)
            {
                (_pc, _active, _meet) = (next.Pc, lanes, next.Meet);
                return;
            }
        }
        State = WarpState.Done;
    }
}
