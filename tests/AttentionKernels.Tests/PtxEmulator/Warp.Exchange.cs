using System.Numerics;

namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Instructions by which the lanes of a warp see each other's registers, and atomic operations.</summary>
internal sealed unsafe partial class Warp
{
    /// <summary>shfl.sync: A value, B lane or distance, C clamp and segment mask, Sources[0] member mask; Mode b, u, d, i.</summary>
    public static void Shuffle(Warp w, PtxInstruction i)
    {
        w.RequireMembers(i, w.Lanes(i.Sources[0]));
        uint* result = stackalloc uint[32];
        uint valid = 0;
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            int b = (int)(w.Lanes(i.B)[lane] & 31);
            uint c = w.Lanes(i.C)[lane];
            int segment = (int)(c >> 8 & 31);
            int clamp = (int)(c & 31);
            int highest = (lane & segment) | (clamp & ~segment);
            int lowest = lane & segment;
            int source = i.Mode switch
            {
                'u' => lane - b,
                'd' => lane + b,
                'b' => lane ^ b,
                _ => lowest | (b & ~segment),
            };
            bool inside = i.Mode == 'u' ? source >= highest : source <= highest;
            if (inside)
            {
                valid |= 1u << lane;
            }
            else
            {
                source = lane;
            }
            if ((w._mask >> source & 1) == 0)
            {
                throw w.Error(i, lane, $"reads lane {source}, which does not execute the shuffle");
            }
            result[lane] = w.Lanes(i.A)[source];
        }
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            w.Lanes(i.D)[lane] = result[lane];
        }
        if (i.D2 >= 0)
        {
            w.StorePredicate(i.D2, valid);
        }
    }

    /// <summary>vote.sync: A predicate, Sources[0] member mask; Mode a (all), y (any), u (uniform), b (ballot); activemask: Mode m.</summary>
    public static void Vote(Warp w, PtxInstruction i)
    {
        if (i.Mode == 'm')
        {
            w.Broadcast(i, w._mask);
            return;
        }
        w.RequireMembers(i, w.Lanes(i.Sources[0]));
        uint votes = w.Predicate(i.A) ^ (i.NegatedA ? All : 0);
        // Lanes with the same member mask vote together.
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            uint members = w.Lanes(i.Sources[0])[lane] & w._mask;
            uint yes = votes & members;
            if (i.Mode == 'b')
            {
                w.Lanes(i.D)[lane] = yes;
                continue;
            }
            bool result = i.Mode switch
            {
                'a' => yes == members,
                'y' => yes != 0,
                _ => yes == members || yes == 0,
            };
            uint bit = 1u << lane;
            w.Predicate(i.D) = result ? w.Predicate(i.D) | bit : w.Predicate(i.D) & ~bit;
        }
    }

    /// <summary>match.any (Mode y) and match.all (Mode a, D2 the predicate): lanes with the same value in A.</summary>
    public static void Match(Warp w, PtxInstruction i)
    {
        w.RequireMembers(i, w.Lanes(i.Sources[0]));
        uint* result = stackalloc uint[32];
        uint agree = 0;
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            uint members = w.Lanes(i.Sources[0])[lane] & w._mask;
            uint same = 0;
            for (uint others = members; others != 0; others &= others - 1)
            {
                int other = BitOperations.TrailingZeroCount(others);
                same |= w.Raw(i.A, i.AWide, other) == w.Raw(i.A, i.AWide, lane) ? 1u << other : 0;
            }
            result[lane] = i.Mode == 'a' && same != members ? 0 : same;
            agree |= same == members ? 1u << lane : 0;
        }
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            w.Lanes(i.D)[lane] = result[lane];
        }
        if (i.D2 >= 0)
        {
            w.StorePredicate(i.D2, agree);
        }
    }

    /// <summary>redux.sync of 32-bit integers: Scalar combines two values.</summary>
    public static void Reduce(Warp w, PtxInstruction i)
    {
        w.RequireMembers(i, w.Lanes(i.Sources[0]));
        uint* result = stackalloc uint[32];
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            uint members = w.Lanes(i.Sources[0])[lane] & w._mask;
            ulong sum = w.Lanes(i.A)[BitOperations.TrailingZeroCount(members)];
            for (uint others = members & (members - 1); others != 0; others &= others - 1)
            {
                sum = i.Scalar!(sum, w.Lanes(i.A)[BitOperations.TrailingZeroCount(others)], 0);
            }
            result[lane] = (uint)sum;
        }
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            w.Lanes(i.D)[lane] = result[lane];
        }
    }

    /// <summary>atom and red: Scalar(old, B, C) is the new value. Lanes in order; blocks of such kernels run one after the other.</summary>
    public static void Atomic(Warp w, PtxInstruction i)
    {
        int bytes = i.Type.Bytes;
        ulong* addresses = stackalloc ulong[32];
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            byte* target = w.Resolve(i, lane, bytes, true, out addresses[lane]);
            ulong old = Fetch(target, i.Type with { Kind = 'b' });
            ulong value = i.Scalar!(old, w.Raw(i.B, i.BWide, lane), w.Raw(i.C, i.CWide, lane));
            switch (bytes)
            {
                case 2:
                    *(ushort*)target = (ushort)value;
                    break;
                case 4:
                    *(uint*)target = (uint)value;
                    break;
                default:
                    *(ulong*)target = value;
                    break;
            }
            if (i.D >= 0)
            {
                w.SetRaw(i.D, i.DWide, lane, old);
            }
        }
        w.Count(i, addresses, bytes, true);
    }

    private void Broadcast(PtxInstruction i, uint value)
    {
        for (uint left = _mask; left != 0; left &= left - 1)
        {
            Lanes(i.D)[BitOperations.TrailingZeroCount(left)] = value;
        }
    }
}
