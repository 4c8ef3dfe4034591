using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>
/// Arithmetic. <see cref="Scalar"/> executes every instruction lane by lane through its definition; the others are faster forms of
/// the most frequent instructions and must give the same bits.
/// </summary>
internal sealed unsafe partial class Warp
{
    public static void Scalar(Warp w, PtxInstruction i)
    {
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            ulong result = i.Scalar!(w.Raw(i.A, i.AWide, lane), w.Raw(i.B, i.BWide, lane), w.Raw(i.C, i.CWide, lane));
            w.SetRaw(i.D, i.DWide, lane, result & i.DMask);
        }
    }

    /// <summary>Comparison of A and B, combined with predicate C where Mode is not 0; D2 gets the combination with the negation.</summary>
    public static void SetPredicate(Warp w, PtxInstruction i)
    {
        uint result = 0;
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            result |= i.Compare!(w.Raw(i.A, i.AWide, lane), w.Raw(i.B, i.BWide, lane)) ? 1u << lane : 0;
        }
        w.StorePredicates(i, result);
    }

    // setp, eight lanes at a time. Comparisons of floats with NaN are false, but for NotEqualOrNan.
    public static void EqualU32(Warp w, PtxInstruction i) => w.Compare(i, (a, b) => Vector256.Equals(a, b));

    public static void NotEqualU32(Warp w, PtxInstruction i) => w.Compare(i, (a, b) => ~Vector256.Equals(a, b));

    public static void LessS32(Warp w, PtxInstruction i) => w.Compare(i, (a, b) => Vector256.LessThan(a.AsInt32(), b.AsInt32()).AsUInt32());

    public static void LessOrEqualS32(Warp w, PtxInstruction i) => w.Compare(i, (a, b) => Vector256.LessThanOrEqual(a.AsInt32(), b.AsInt32()).AsUInt32());

    public static void GreaterS32(Warp w, PtxInstruction i) => w.Compare(i, (a, b) => Vector256.GreaterThan(a.AsInt32(), b.AsInt32()).AsUInt32());

    public static void GreaterOrEqualS32(Warp w, PtxInstruction i) => w.Compare(i, (a, b) => Vector256.GreaterThanOrEqual(a.AsInt32(), b.AsInt32()).AsUInt32());

    public static void LessU32(Warp w, PtxInstruction i) => w.Compare(i, (a, b) => Vector256.LessThan(a, b));

    public static void LessOrEqualU32(Warp w, PtxInstruction i) => w.Compare(i, (a, b) => Vector256.LessThanOrEqual(a, b));

    public static void GreaterU32(Warp w, PtxInstruction i) => w.Compare(i, (a, b) => Vector256.GreaterThan(a, b));

    public static void GreaterOrEqualU32(Warp w, PtxInstruction i) => w.Compare(i, (a, b) => Vector256.GreaterThanOrEqual(a, b));

    public static void EqualF32(Warp w, PtxInstruction i) => w.CompareFloats(i, (a, b) => Vector256.Equals(a, b).AsUInt32());

    public static void NotEqualOrNanF32(Warp w, PtxInstruction i) => w.CompareFloats(i, (a, b) => ~Vector256.Equals(a, b).AsUInt32());

    public static void LessF32(Warp w, PtxInstruction i) => w.CompareFloats(i, (a, b) => Vector256.LessThan(a, b).AsUInt32());

    public static void LessOrEqualF32(Warp w, PtxInstruction i) => w.CompareFloats(i, (a, b) => Vector256.LessThanOrEqual(a, b).AsUInt32());

    public static void GreaterF32(Warp w, PtxInstruction i) => w.CompareFloats(i, (a, b) => Vector256.GreaterThan(a, b).AsUInt32());

    public static void GreaterOrEqualF32(Warp w, PtxInstruction i) => w.CompareFloats(i, (a, b) => Vector256.GreaterThanOrEqual(a, b).AsUInt32());

    /// <summary>Logic of predicates: Mode &amp;, |, ^, ! (not), m (move), c (constant: NegatedA); sources A and B.</summary>
    public static void PredicateLogic(Warp w, PtxInstruction i)
    {
        uint a = w.Predicate(i.A) ^ (i.NegatedA ? All : 0);
        uint b = i.B < 0 ? 0 : w.Predicate(i.B) ^ (i.NegatedC ? All : 0);
        w.StorePredicate(i.D, i.Mode switch
        {
            '&' => a & b,
            '|' => a | b,
            '^' => a ^ b,
            '!' => ~a,
            'c' => i.NegatedA ? All : 0,
            _ => a,
        });
    }

    /// <summary>selp: A where predicate C holds, else B.</summary>
    public static void Select32(Warp w, PtxInstruction i)
    {
        uint condition = w.Predicate(i.C) ^ (i.NegatedC ? All : 0);
        for (int at = 0; at < 128; at += 32)
        {
            Vector256<uint> bits = Vector256.Create(1u, 2, 4, 8, 16, 32, 64, 128);
            Vector256<uint> on = Vector256.Equals(Vector256.Create(condition >> (at / 4)) & bits, bits);
            w.Put(i, at, Vector256.ConditionalSelect(on, w.U32(i.A, at), w.U32(i.B, at)));
        }
    }

    public static void Select64(Warp w, PtxInstruction i)
    {
        uint condition = w.Predicate(i.C) ^ (i.NegatedC ? All : 0);
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            w.SetRaw(i.D, true, lane, w.Raw((condition >> lane & 1) != 0 ? i.A : i.B, true, lane));
        }
    }

    public static void Move32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.Put(i, at, w.U32(i.A, at));
        }
    }

    public static void Move64(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 256; at += 32)
        {
            w.Put(i, at, w.U64(i.A, at));
        }
    }

    /// <summary>mov of a vector into one register: the first element is lowest.</summary>
    public static void Pack(Warp w, PtxInstruction i)
    {
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            ulong bits = 0;
            for (int e = 0; e < i.Sources.Length; e++)
            {
                bits |= w.Raw(i.Sources[e], i.VectorBits == 64, lane) << (e * i.VectorBits);
            }
            w.SetRaw(i.D, i.DWide, lane, bits);
        }
    }

    public static void Unpack(Warp w, PtxInstruction i)
    {
        ulong mask = (1ul << i.VectorBits) - 1;
        for (uint left = w._mask; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            ulong bits = w.Raw(i.A, i.AWide, lane);
            for (int e = 0; e < i.Destinations.Length; e++)
            {
                if (i.Destinations[e] >= 0)
                {
                    w.SetRaw(i.Destinations[e], false, lane, bits >> (e * i.VectorBits) & mask);
                }
            }
        }
    }

    public static void Add32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.Put(i, at, w.U32(i.A, at) + w.U32(i.B, at));
        }
    }

    public static void Subtract32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.Put(i, at, w.U32(i.A, at) - w.U32(i.B, at));
        }
    }

    public static void Multiply32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.Put(i, at, w.U32(i.A, at) * w.U32(i.B, at));
        }
    }

    public static void MultiplyAdd32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.Put(i, at, (w.U32(i.A, at) * w.U32(i.B, at)) + w.U32(i.C, at));
        }
    }

    public static void MinS32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.Put(i, at, Vector256.Min(w.U32(i.A, at).AsInt32(), w.U32(i.B, at).AsInt32()).AsUInt32());
        }
    }

    public static void MaxS32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.Put(i, at, Vector256.Max(w.U32(i.A, at).AsInt32(), w.U32(i.B, at).AsInt32()).AsUInt32());
        }
    }

    public static void And32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.Put(i, at, w.U32(i.A, at) & w.U32(i.B, at));
        }
    }

    public static void Or32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.Put(i, at, w.U32(i.A, at) | w.U32(i.B, at));
        }
    }

    public static void Xor32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.Put(i, at, w.U32(i.A, at) ^ w.U32(i.B, at));
        }
    }

    /// <summary>Shifts by a constant (Immediate, 0 to 31).</summary>
    public static void ShiftLeft32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.Put(i, at, w.U32(i.A, at) << (int)i.Immediate);
        }
    }

    public static void ShiftRightU32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.Put(i, at, w.U32(i.A, at) >>> (int)i.Immediate);
        }
    }

    public static void ShiftRightS32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.Put(i, at, (w.U32(i.A, at).AsInt32() >> (int)i.Immediate).AsUInt32());
        }
    }

    public static void Add64(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 256; at += 32)
        {
            w.Put(i, at, w.U64(i.A, at) + w.U64(i.B, at));
        }
    }

    public static void ShiftLeft64(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 256; at += 32)
        {
            w.Put(i, at, w.U64(i.A, at) << (int)i.Immediate);
        }
    }

    public static void Multiply64(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 256; at += 32)
        {
            w.Put(i, at, w.U64(i.A, at) * w.U64(i.B, at));
        }
    }

    public static void MultiplyAdd64(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 256; at += 32)
        {
            w.Put(i, at, (w.U64(i.A, at) * w.U64(i.B, at)) + w.U64(i.C, at));
        }
    }

    /// <summary>cvt.s64.s32.</summary>
    public static void WidenSigned(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            (Vector256<long> low, Vector256<long> high) = Vector256.Widen(w.U32(i.A, at).AsInt32());
            w.Put(i, 2 * at, low.AsUInt64());
            w.Put(i, (2 * at) + 32, high.AsUInt64());
        }
    }

    public static void AddF32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.PutFloat(i, at, w.F32(i, i.A, at) + w.F32(i, i.B, at));
        }
    }

    public static void SubtractF32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.PutFloat(i, at, w.F32(i, i.A, at) - w.F32(i, i.B, at));
        }
    }

    public static void MultiplyF32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.PutFloat(i, at, w.F32(i, i.A, at) * w.F32(i, i.B, at));
        }
    }

    public static void FusedF32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.PutFloat(i, at, Vector256.FusedMultiplyAdd(w.F32(i, i.A, at), w.F32(i, i.B, at), w.F32(i, i.C, at)));
        }
    }

    /// <summary>A * B and C in one rounding, by Mode: '+' sum, '-' product less C, 'r' C less product.</summary>
    public static void ContractedF32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            Vector256<float> a = w.F32(i, i.A, at), c = w.F32(i, i.C, at);
            w.PutFloat(i, at, Vector256.FusedMultiplyAdd(i.Mode == 'r' ? -a : a, w.F32(i, i.B, at), i.Mode == '-' ? -c : c));
        }
    }

    public static void MaxF32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.PutFloat(i, at, Vector256.MaxNumber(w.F32(i, i.A, at), w.F32(i, i.B, at)));
        }
    }

    public static void MinF32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.PutFloat(i, at, Vector256.MinNumber(w.F32(i, i.A, at), w.F32(i, i.B, at)));
        }
    }

    /// <summary>neg.f32: changes the sign, also of a NaN.</summary>
    public static void NegateF32(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.Put(i, at, w.F32(i, i.A, at).AsUInt32() ^ Vector256.Create(0x8000_0000u));
        }
    }

    /// <summary>cvt.f32.f16.</summary>
    public static void WidenHalf(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.PutFloat(i, at, NarrowFloat.FromHalf(w.U32(i.A, at) & Vector256.Create(0xffffu)));
        }
    }

    /// <summary>cvt.rn.f16.f32.</summary>
    public static void NarrowHalf(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.Put(i, at, NarrowFloat.ToHalf(w.U32(i.A, at).AsSingle()));
        }
    }

    /// <summary>cvt.rn.bf16.f32.</summary>
    public static void NarrowBrainFloat(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            w.Put(i, at, NarrowFloat.ToBrainFloat(w.U32(i.A, at).AsSingle()));
        }
    }

    /// <summary>cvt.rn.f16x2.f32: A becomes the upper half, B the lower one.</summary>
    public static void PackHalves(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            Vector256<uint> high = NarrowFloat.ToHalf(w.U32(i.A, at).AsSingle());
            Vector256<uint> low = NarrowFloat.ToHalf(w.U32(i.B, at).AsSingle());
            w.Put(i, at, (high << 16) | low);
        }
    }

    /// <summary>cvt.rn.bf16x2.f32.</summary>
    public static void PackBrainFloats(Warp w, PtxInstruction i)
    {
        for (int at = 0; at < 128; at += 32)
        {
            Vector256<uint> high = NarrowFloat.ToBrainFloat(w.U32(i.A, at).AsSingle());
            Vector256<uint> low = NarrowFloat.ToBrainFloat(w.U32(i.B, at).AsSingle());
            w.Put(i, at, (high << 16) | low);
        }
    }

    private delegate Vector256<uint> FloatComparison(Vector256<float> a, Vector256<float> b);

    private delegate Vector256<uint> VectorComparison(Vector256<uint> a, Vector256<uint> b);

    private void Compare(PtxInstruction i, VectorComparison comparison)
    {
        uint result = 0;
        for (int at = 0; at < 128; at += 32)
        {
            result |= comparison(U32(i.A, at), U32(i.B, at)).ExtractMostSignificantBits() << (at / 4);
        }
        StorePredicates(i, result);
    }

    private void CompareFloats(PtxInstruction i, FloatComparison comparison)
    {
        uint result = 0;
        for (int at = 0; at < 128; at += 32)
        {
            result |= comparison(F32(i, i.A, at), F32(i, i.B, at)).ExtractMostSignificantBits() << (at / 4);
        }
        StorePredicates(i, result);
    }

    private void StorePredicates(PtxInstruction i, uint result)
    {
        uint negation = ~result;
        if (i.Mode != 0)
        {
            uint other = Predicate(i.C) ^ (i.NegatedC ? All : 0);
            (result, negation) = i.Mode switch
            {
                '&' => (result & other, negation & other),
                '|' => (result | other, negation | other),
                _ => (result ^ other, negation ^ other),
            };
        }
        if (i.D >= 0)
        {
            StorePredicate(i.D, result);
        }
        if (i.D2 >= 0)
        {
            StorePredicate(i.D2, negation);
        }
    }

    private void StorePredicate(int slot, uint value) => Predicate(slot) = (Predicate(slot) & ~_mask) | (value & _mask);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector256<float> F32(PtxInstruction i, int slot, int at)
    {
        Vector256<float> value = U32(slot, at).AsSingle();
        return i.Flush ? Flush(value) : value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void PutFloat(PtxInstruction i, int at, Vector256<float> value)
    {
        value = i.Flush ? Flush(value) : value;
        if (i.Saturate)
        {
            // NaN becomes 0; a zero of either sign becomes +0.
            value = Vector256.MinNumber(Vector256.MaxNumber(value, Vector256<float>.Zero), Vector256<float>.One);
        }
        // Every NaN that arithmetic makes is the canonical one.
        Put(i, at, Vector256.ConditionalSelect(Vector256.Equals(value, value).AsUInt32(), value.AsUInt32(), Vector256.Create(0x7fff_ffffu)));
    }

    // Denormals become zeros of their sign.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Flush(Vector256<float> value)
    {
        Vector256<uint> bits = value.AsUInt32();
        Vector256<uint> denormal = Vector256.Equals(bits & Vector256.Create(0x7f80_0000u), Vector256<uint>.Zero);
        return Vector256.ConditionalSelect(denormal, bits & Vector256.Create(0x8000_0000u), bits).AsSingle();
    }
}
