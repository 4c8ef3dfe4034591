using System.Numerics;

namespace AttentionKernels.Tests.PtxEmulator;

/// <summary>Every arithmetic instruction against plain C#, on values that contain the awkward ones.</summary>
public sealed class PtxArithmeticTests
{
    private const int Blocks = 40;

    // Bits that are awkward as integers and as float32 and pairs of float16.
    private static readonly uint[] Awkward =
    [
        0, 1, 2, 3, 31, 32, 33, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_ffff,
        0x3f80_0000, 0xbf80_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_0001, 0x0000_0400, 0x8040_0000, 0x0080_0000, 0x7f7f_ffff,
        0x3c00_3800, 0xfc00_7c00, 0x7bff_0001, 0x4b00_0001, 0xcf00_0000, 0x4f80_0000, 0x477f_f000, 0x3880_0000, 0x3300_0001, 0x4049_0fdb,
    ];

    // A body that turns %r4, %r5, %r6 into %r8, and what it must give.
    private static readonly Dictionary<string, Func<uint, uint, uint, uint>> Words = new()
    {
        ["add.s32 %r8, %r4, %r5;"] = (a, b, _) => a + b,
        ["add.sat.s32 %r8, %r4, %r5;"] = (a, b, _) => (uint)(int)Math.Clamp((long)(int)a + (int)b, int.MinValue, int.MaxValue),
        ["sub.u32 %r8, %r4, %r5;"] = (a, b, _) => a - b,
        ["add.s32 %r8, %r4, -5;"] = (a, _, _) => a - 5,
        ["mul.lo.s32 %r8, %r4, %r5;"] = (a, b, _) => a * b,
        ["mul.hi.s32 %r8, %r4, %r5;"] = (a, b, _) => (uint)(((long)(int)a * (int)b) >> 32),
        ["mul.hi.u32 %r8, %r4, %r5;"] = (a, b, _) => (uint)(((ulong)a * b) >> 32),
        ["mad.lo.s32 %r8, %r4, %r5, %r6;"] = (a, b, c) => (a * b) + c,
        ["mad.hi.u32 %r8, %r4, %r5, %r6;"] = (a, b, c) => (uint)(((ulong)a * b) >> 32) + c,
        ["mul24.lo.u32 %r8, %r4, %r5;"] = (a, b, _) => (a & 0xff_ffff) * (b & 0xff_ffff),
        ["sad.s32 %r8, %r4, %r5, %r6;"] = (a, b, c) => c + (uint)Math.Abs((long)(int)a - (int)b),
        ["div.s32 %r8, %r4, %r5;"] = (a, b, _) => b == 0 ? uint.MaxValue : (uint)((long)(int)a / (int)b),
        ["div.u32 %r8, %r4, %r5;"] = (a, b, _) => b == 0 ? uint.MaxValue : a / b,
        ["rem.s32 %r8, %r4, %r5;"] = (a, b, _) => b == 0 ? a : (uint)((long)(int)a % (int)b),
        ["rem.u32 %r8, %r4, %r5;"] = (a, b, _) => b == 0 ? a : a % b,
        ["min.s32 %r8, %r4, %r5;"] = (a, b, _) => (uint)Math.Min((int)a, (int)b),
        ["max.s32 %r8, %r4, %r5;"] = (a, b, _) => (uint)Math.Max((int)a, (int)b),
        ["min.u32 %r8, %r4, %r5;"] = (a, b, _) => Math.Min(a, b),
        ["max.u32 %r8, %r4, %r5;"] = (a, b, _) => Math.Max(a, b),
        ["neg.s32 %r8, %r4;"] = (a, _, _) => 0 - a,
        ["abs.s32 %r8, %r4;"] = (a, _, _) => (int)a < 0 ? 0 - a : a,
        ["and.b32 %r8, %r4, %r5;"] = (a, b, _) => a & b,
        ["or.b32 %r8, %r4, %r5;"] = (a, b, _) => a | b,
        ["xor.b32 %r8, %r4, %r5;"] = (a, b, _) => a ^ b,
        ["not.b32 %r8, %r4;"] = (a, _, _) => ~a,
        ["cnot.b32 %r8, %r4;"] = (a, _, _) => a == 0 ? 1u : 0,
        ["shl.b32 %r8, %r4, %r5;"] = (a, b, _) => b > 31 ? 0 : a << (int)b,
        ["shl.b32 %r8, %r4, 7;"] = (a, _, _) => a << 7,
        ["shr.u32 %r8, %r4, %r5;"] = (a, b, _) => b > 31 ? 0 : a >> (int)b,
        ["shr.s32 %r8, %r4, %r5;"] = (a, b, _) => (uint)((int)a >> (int)Math.Min(b, 31)),
        ["shr.s32 %r8, %r4, 4;"] = (a, _, _) => (uint)((int)a >> 4),
        ["shr.b32 %r8, %r4, 4;"] = (a, _, _) => a >> 4,
        ["popc.b32 %r8, %r4;"] = (a, _, _) => (uint)BitOperations.PopCount(a),
        ["clz.b32 %r8, %r4;"] = (a, _, _) => (uint)BitOperations.LeadingZeroCount(a),
        ["brev.b32 %r8, %r4;"] = (a, _, _) => Convert.ToUInt32(new string([.. Convert.ToString(a, 2).PadLeft(32, '0').Reverse()]), 2),
        ["bfind.u32 %r8, %r4;"] = (a, _, _) => a == 0 ? uint.MaxValue : (uint)BitOperations.Log2(a),
        ["bfind.s32 %r8, %r4;"] = (a, _, _) => ((int)a < 0 ? ~a : a) is uint m && m == 0 ? uint.MaxValue : (uint)BitOperations.Log2((int)a < 0 ? ~a : a),
        ["bfind.shiftamt.u32 %r8, %r4;"] = (a, _, _) => a == 0 ? uint.MaxValue : (uint)BitOperations.LeadingZeroCount(a),
        ["bfe.u32 %r8, %r4, 5, 9;"] = (a, _, _) => (a >> 5) & 0x1ff,
        ["bfe.s32 %r8, %r4, 28, 9;"] = (a, _, _) => (uint)((int)a >> 28),
        ["bfe.s32 %r8, %r4, 3, 6;"] = (a, _, _) => (uint)((int)(a << 23) >> 26),
        ["bfe.u32 %r8, %r4, 3, 0;"] = (_, _, _) => 0,
        ["bfi.b32 %r8, %r4, %r5, 8, 4;"] = (a, b, _) => (b & ~0xf00u) | ((a & 15) << 8),
        ["prmt.b32 %r8, %r4, %r5, 0x7531;"] = (a, b, _) => ((a >> 8) & 0xff) | ((a >> 24) << 8) | (((b >> 8) & 0xff) << 16) | ((b >> 24) << 24),
        ["prmt.b32 %r8, %r4, %r5, 0x000b;"] = (a, _, _) => ((a >> 31) != 0 ? 0xffu : 0) | ((a & 0xff) * 0x01010100u),
        ["lop3.b32 %r8, %r4, %r5, %r6, 0x96;"] = (a, b, c) => a ^ b ^ c,
        ["lop3.b32 %r8, %r4, %r5, %r6, 0xca;"] = (a, b, c) => (a & b) | (~a & c),
        ["shf.l.wrap.b32 %r8, %r4, %r5, %r6;"] = (a, b, c) => (uint)(((((ulong)b << 32) | a) << (int)(c & 31)) >> 32),
        ["shf.r.wrap.b32 %r8, %r4, %r5, %r6;"] = (a, b, c) => (uint)((((ulong)b << 32) | a) >> (int)(c & 31)),
        ["shf.r.clamp.b32 %r8, %r4, %r5, %r6;"] = (a, b, c) => (uint)((((ulong)b << 32) | a) >> (int)Math.Min(c, 32)),
        ["setp.lt.s32 %p1, %r4, %r5; selp.b32 %r8, %r6, 7, %p1;"] = (a, b, c) => (int)a < (int)b ? c : 7,
        ["setp.ge.s32 %p1, %r4, %r5; selp.b32 %r8, %r6, 7, %p1;"] = (a, b, c) => (int)a >= (int)b ? c : 7,
        ["setp.hi.u32 %p1, %r4, %r5; selp.b32 %r8, %r6, 7, %p1;"] = (a, b, c) => a > b ? c : 7,
        ["setp.ne.s32 %p1, %r4, 0; selp.b32 %r8, 1, 0, !%p1;"] = (a, _, _) => a == 0 ? 1u : 0,
        ["setp.eq.u32 %p1|%p2, %r4, %r5; selp.b32 %r8, 1, 0, %p2;"] = (a, b, _) => a != b ? 1u : 0,
        ["setp.lt.u32 %p1, %r5, 9; setp.gt.and.s32 %p2, %r4, %r6, !%p1; selp.b32 %r8, 1, 0, %p2;"] = (a, b, c) => (int)a > (int)c && !(b < 9) ? 1u : 0,
        ["setp.lt.f32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => F(a) < F(b) ? 1u : 0,
        ["setp.ltu.f32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => !(F(a) >= F(b)) ? 1u : 0,
        ["setp.ne.f32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => !float.IsNaN(F(a)) && !float.IsNaN(F(b)) && F(a) != F(b) ? 1u : 0,
        ["setp.neu.f32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => F(a) != F(b) ? 1u : 0,
        ["setp.nan.f32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => float.IsNaN(F(a)) || float.IsNaN(F(b)) ? 1u : 0,
        ["setp.eq.ftz.f32 %p1, %r4, 0f00000000; selp.b32 %r8, 1, 0, %p1;"] = (a, _, _) => float.IsSubnormal(F(a)) || F(a) == 0 ? 1u : 0,
        ["setp.le.s32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => (int)a <= (int)b ? 1u : 0,
        ["setp.gt.s32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => (int)a > (int)b ? 1u : 0,
        ["setp.lo.u32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => a < b ? 1u : 0,
        ["setp.ls.u32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => a <= b ? 1u : 0,
        ["setp.hs.u32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => a >= b ? 1u : 0,
        ["setp.lt.u32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => a < b ? 1u : 0,
        ["setp.eq.f32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => F(a) == F(b) ? 1u : 0,
        ["setp.le.ftz.f32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => Z(F(a)) <= Z(F(b)) ? 1u : 0,
        ["setp.gt.f32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => F(a) > F(b) ? 1u : 0,
        ["setp.ge.ftz.f32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => Z(F(a)) >= Z(F(b)) ? 1u : 0,
        ["setp.equ.f32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => !(F(a) < F(b) || F(a) > F(b)) ? 1u : 0,
        ["setp.leu.f32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => !(F(a) > F(b)) ? 1u : 0,
        ["setp.gtu.f32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => !(F(a) <= F(b)) ? 1u : 0,
        ["setp.geu.f32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => !(F(a) < F(b)) ? 1u : 0,
        ["setp.num.f32 %p1, %r4, %r5; selp.b32 %r8, 1, 0, %p1;"] = (a, b, _) => !float.IsNaN(F(a)) && !float.IsNaN(F(b)) ? 1u : 0,
        ["set.lt.u32.s32 %r8, %r4, %r5;"] = (a, b, _) => (int)a < (int)b ? uint.MaxValue : 0,
        ["set.gt.f32.f32 %r8, %r4, %r5;"] = (a, b, _) => F(a) > F(b) ? U(1f) : 0,
        ["slct.b32.s32 %r8, %r4, %r5, %r6;"] = (a, b, c) => (int)c >= 0 ? a : b,
        ["testp.notanumber.f32 %p1, %r4; selp.b32 %r8, 1, 0, %p1;"] = (a, _, _) => float.IsNaN(F(a)) ? 1u : 0,
        ["testp.subnormal.f32 %p1, %r4; selp.b32 %r8, 1, 0, %p1;"] = (a, _, _) => float.IsSubnormal(F(a)) ? 1u : 0,
        ["setp.lt.s32 %p1, %r4, 0; setp.lt.s32 %p2, %r5, 0; xor.pred %p3, %p1, %p2; not.pred %p3, %p3; selp.b32 %r8, 1, 0, %p3;"]
            = (a, b, _) => ((int)a < 0) == ((int)b < 0) ? 1u : 0,
        ["mov.pred %p1, 1; mov.pred %p2, 0; or.pred %p1, %p1, %p2; selp.b32 %r8, %r4, %r5, %p1;"] = (a, _, _) => a,
        ["add.f32 %r8, %r4, %r5;"] = (a, b, _) => U(F(a) + F(b)),
        ["add.ftz.f32 %r8, %r4, %r5;"] = (a, b, _) => U(Z(Z(F(a)) + Z(F(b)))),
        ["sub.ftz.f32 %r8, %r4, %r5;"] = (a, b, _) => U(Z(Z(F(a)) - Z(F(b)))),
        ["mul.ftz.f32 %r8, %r4, %r5;"] = (a, b, _) => U(Z(Z(F(a)) * Z(F(b)))),
        ["mul.rn.f32 %r8, %r4, %r5;"] = (a, b, _) => U(F(a) * F(b)),
        ["add.sat.f32 %r8, %r4, %r5;"] = (a, b, _) => U(F(a) + F(b) is float s && s > 0 ? Math.Min(s, 1) : 0),
        ["fma.rn.f32 %r8, %r4, %r5, %r6;"] = (a, b, c) => U(MathF.FusedMultiplyAdd(F(a), F(b), F(c))),
        ["fma.rn.ftz.f32 %r8, %r4, %r5, %r6;"] = (a, b, c) => U(Z(MathF.FusedMultiplyAdd(Z(F(a)), Z(F(b)), Z(F(c))))),
        ["max.f32 %r8, %r4, %r5;"] = (a, b, _) => U(Larger(F(a), F(b))),
        ["max.ftz.f32 %r8, %r4, %r5;"] = (a, b, _) => U(Larger(Z(F(a)), Z(F(b)))),
        ["max.NaN.f32 %r8, %r4, %r5;"] = (a, b, _) => U(float.IsNaN(F(a)) || float.IsNaN(F(b)) ? float.NaN : Larger(F(a), F(b))),
        ["min.f32 %r8, %r4, %r5;"] = (a, b, _) => U(-Larger(-F(a), -F(b))),
        ["neg.f32 %r8, %r4;"] = (a, _, _) => a ^ 0x8000_0000,
        ["neg.ftz.f32 %r8, %r4;"] = (a, _, _) => (float.IsSubnormal(F(a)) ? a & 0x8000_0000 : a) ^ 0x8000_0000,
        ["cvt.u16.u32 %h1, %r4; cvt.f32.f16 %r8, %h1;"] = (a, _, _) => U((float)BitConverter.UInt16BitsToHalf((ushort)a)),
        ["abs.ftz.f32 %r8, %r4;"] = (a, _, _) => float.IsSubnormal(F(a)) ? 0 : a & 0x7fff_ffff,
        ["copysign.f32 %r8, %r4, %r5;"] = (a, b, _) => (a & 0x8000_0000) | (b & 0x7fff_ffff),
        ["div.rn.f32 %r8, %r4, %r5;"] = (a, b, _) => U(F(a) / F(b)),
        ["rcp.rn.f32 %r8, %r4;"] = (a, _, _) => U(1 / F(a)),
        ["sqrt.rn.f32 %r8, %r4;"] = (a, _, _) => U(MathF.Sqrt(F(a))),
        ["ex2.approx.ftz.f32 %r8, %r4;"] = (a, _, _) => U(Z((float)Math.Pow(2, Z(F(a))))),
        ["ex2.approx.f32 %r8, %r4;"] = (a, _, _) => U((float)Math.Pow(2, F(a))),
        ["lg2.approx.ftz.f32 %r8, %r4;"] = (a, _, _) => U((float)Math.Log2(Z(F(a)))),
        ["rcp.approx.ftz.f32 %r8, %r4;"] = (a, _, _) => U(Z((float)(1 / (double)Z(F(a))))),
        ["rsqrt.approx.f32 %r8, %r4;"] = (a, _, _) => U((float)(1 / Math.Sqrt(F(a)))),
        ["sqrt.approx.f32 %r8, %r4;"] = (a, _, _) => U((float)Math.Sqrt(F(a))),
        ["tanh.approx.f32 %r8, %r4;"] = (a, _, _) => U((float)Math.Tanh(F(a))),
        ["sin.approx.f32 %r8, %r4;"] = (a, _, _) => U((float)Math.Sin(F(a))),
        ["cos.approx.ftz.f32 %r8, %r4;"] = (a, _, _) => U((float)Math.Cos(Z(F(a)))),
        // Divisors above 2^126 have a reciprocal of 0.
        ["div.approx.ftz.f32 %r8, %r4, %r5;"] = (a, b, _) => U(Z(MathF.Abs(F(b)) is > 8.507059e37f and < float.PositiveInfinity ? F(a) * MathF.CopySign(0, F(b)) : (float)((double)Z(F(a)) / Z(F(b))))),
        ["div.full.ftz.f32 %r8, %r4, %r5;"] = (a, b, _) => U(Z((float)((double)Z(F(a)) / Z(F(b))))),
        ["cvt.rn.f32.s32 %r8, %r4;"] = (a, _, _) => U((float)(int)a),
        ["cvt.rn.f32.u32 %r8, %r4;"] = (a, _, _) => U((float)a),
        ["cvt.rzi.s32.f32 %r8, %r4;"] = (a, _, _) => (uint)ToInt(Math.Truncate((double)F(a)), int.MinValue, int.MaxValue),
        ["cvt.rni.s32.f32 %r8, %r4;"] = (a, _, _) => (uint)ToInt(Math.Round((double)F(a), MidpointRounding.ToEven), int.MinValue, int.MaxValue),
        ["cvt.rmi.u32.f32 %r8, %r4;"] = (a, _, _) => (uint)ToInt(Math.Floor((double)F(a)), 0, uint.MaxValue),
        ["cvt.rpi.f32.f32 %r8, %r4;"] = (a, _, _) => U(MathF.Ceiling(F(a))),
        ["cvt.s32.s8 %r8, %r4;"] = (a, _, _) => (uint)(sbyte)a,
        ["cvt.u32.u16 %r8, %r4;"] = (a, _, _) => (ushort)a,
        ["cvt.sat.u8.s32 %r8, %r4;"] = (a, _, _) => (uint)Math.Clamp((int)a, 0, 255),
        ["cvt.rn.f16.f32 %h1, %r4; cvt.f32.f16 %r8, %h1;"] = (a, _, _) => U((float)(Half)F(a)),
        ["cvt.rn.f16x2.f32 %r8, %r4, %r5;"] = (a, b, _) => (H((Half)F(a)) << 16) | H((Half)F(b)),
        ["cvt.rz.f16.f32 %h1, %r4; cvt.u32.u16 %r8, %h1;"] = (a, _, _) => HalfTowardsZero(F(a)),
        ["cvt.rn.bf16x2.f32 %r8, %r4, %r5;"] = (a, b, _) => (Brain(F(a)) << 16) | Brain(F(b)),
        ["cvt.rn.bf16.f32 %h1, %r4; cvt.u32.u16 %r8, %h1;"] = (a, _, _) => Brain(F(a)),
        ["mov.b32 {%h1, %h2}, %r4; mov.b32 %r8, {%h2, %h1};"] = (a, _, _) => (a >> 16) | (a << 16),
        ["add.f16x2 %r8, %r4, %r5;"] = (a, b, _) => EachHalf(a, b, (x, y) => (double)x + (double)y),
        ["mul.f16x2 %r8, %r4, %r5;"] = (a, b, _) => EachHalf(a, b, (x, y) => (double)x * (double)y),
        ["max.f16x2 %r8, %r4, %r5;"] = (a, b, _) => EachHalf(a, b, (x, y) => Larger((float)x, (float)y)),
        ["mov.b32 %r8, 0f3F800000; add.f32 %r8, %r8, 0fBF800000;"] = (_, _, _) => 0,
        ["mov.u32 %r8, %laneid; mov.u32 %r9, %lanemask_lt; xor.b32 %r8, %r8, %r9; sub.s32 %r8, %r8, %r8; add.s32 %r8, %r8, %r4;"] = (a, _, _) => a,
        ["{ .reg .b32 %r4x; .reg .f32 t<2>; mov.b32 %r4x, %r4; mov.b32 t1, %r4x; mov.b32 %r8, t1; }"] = (a, _, _) => a,
    };

    // A body that turns %rd4, %rd5, %rd6 (= a xor b) into %rd8.
    private static readonly Dictionary<string, Func<ulong, ulong, ulong, ulong>> Longs = new()
    {
        ["add.s64 %rd8, %rd4, %rd5;"] = (a, b, _) => a + b,
        ["sub.s64 %rd8, %rd4, %rd5;"] = (a, b, _) => a - b,
        ["mul.lo.s64 %rd8, %rd4, %rd5;"] = (a, b, _) => a * b,
        ["mul.hi.s64 %rd8, %rd4, %rd5;"] = (a, b, _) => (ulong)(((Int128)(long)a * (long)b) >> 64),
        ["mad.lo.u64 %rd8, %rd4, %rd5, %rd6;"] = (a, b, c) => (a * b) + c,
        ["div.s64 %rd8, %rd4, %rd5;"] = (a, b, _) => b == 0 ? ulong.MaxValue : (long)b == -1 ? 0 - a : (ulong)((long)a / (long)b),
        ["rem.u64 %rd8, %rd4, %rd5;"] = (a, b, _) => b == 0 ? a : a % b,
        ["min.s64 %rd8, %rd4, %rd5;"] = (a, b, _) => (ulong)Math.Min((long)a, (long)b),
        ["max.u64 %rd8, %rd4, %rd5;"] = (a, b, _) => Math.Max(a, b),
        ["and.b64 %rd8, %rd4, %rd5;"] = (a, b, _) => a & b,
        ["shl.b64 %rd8, %rd4, 9;"] = (a, _, _) => a << 9,
        ["cvt.u32.u64 %r9, %rd5; shl.b64 %rd8, %rd4, %r9;"] = (a, b, _) => (uint)b > 63 ? 0 : a << (int)b,
        ["shr.s64 %rd8, %rd4, 40;"] = (a, _, _) => (ulong)((long)a >> 40),
        ["shr.u64 %rd8, %rd4, 40;"] = (a, _, _) => a >> 40,
        ["popc.b64 %r9, %rd4; cvt.u64.u32 %rd8, %r9;"] = (a, _, _) => (ulong)BitOperations.PopCount(a),
        ["clz.b64 %r9, %rd4; cvt.u64.u32 %rd8, %r9;"] = (a, _, _) => (ulong)BitOperations.LeadingZeroCount(a),
        ["bfe.u64 %rd8, %rd4, 30, 20;"] = (a, _, _) => (a >> 30) & 0xf_ffff,
        ["brev.b64 %rd8, %rd4; brev.b64 %rd8, %rd8;"] = (a, _, _) => a,
        ["cvt.u32.u64 %r9, %rd4; cvt.s64.s32 %rd8, %r9;"] = (a, _, _) => (ulong)(int)a,
        ["cvt.u32.u64 %r9, %rd4; cvt.u64.u32 %rd8, %r9;"] = (a, _, _) => (uint)a,
        ["cvt.u32.u64 %r9, %rd4; cvt.u32.u64 %r10, %rd5; mul.wide.s32 %rd8, %r9, %r10;"] = (a, b, _) => (ulong)((long)(int)a * (int)b),
        ["cvt.u32.u64 %r9, %rd4; cvt.u32.u64 %r10, %rd5; mul.wide.u32 %rd8, %r9, %r10;"] = (a, b, _) => (ulong)(uint)a * (uint)b,
        ["cvt.u32.u64 %r9, %rd4; cvt.u32.u64 %r10, %rd5; mad.wide.u32 %rd8, %r9, %r10, %rd6;"] = (a, b, c) => ((ulong)(uint)a * (uint)b) + c,
        ["mov.b64 {%r9, %r10}, %rd4; mov.b64 %rd8, {%r10, %r9};"] = (a, _, _) => (a >> 32) | (a << 32),
        ["setp.lt.s64 %p1, %rd4, %rd5; selp.b64 %rd8, %rd4, %rd5, %p1;"] = (a, b, _) => (ulong)Math.Min((long)a, (long)b),
        ["setp.ge.u64 %p1, %rd4, %rd5; selp.b64 %rd8, %rd4, %rd5, %p1;"] = (a, b, _) => Math.Max(a, b),
        ["add.f64 %rd8, %rd4, %rd5;"] = (a, b, _) => U(D(a) + D(b)),
        ["fma.rn.f64 %rd8, %rd4, %rd5, %rd6;"] = (a, b, c) => U(Math.FusedMultiplyAdd(D(a), D(b), D(c))),
        ["div.rn.f64 %rd8, %rd4, %rd5;"] = (a, b, _) => U(D(a) / D(b)),
        ["sqrt.rn.f64 %rd8, %rd4;"] = (a, _, _) => U(Math.Sqrt(D(a))),
        ["cvt.rn.f32.f64 %r9, %rd4; cvt.f64.f32 %rd8, %r9;"] = (a, _, _) => U((double)(float)D(a)),
        ["cvt.rzi.s64.f64 %rd8, %rd4;"] = (a, _, _) => double.IsNaN(D(a)) ? 1ul << 63 : (ulong)(long)Int128.Clamp((Int128)Math.Clamp(D(a), -1e30, 1e30), long.MinValue, long.MaxValue),
        ["cvt.rn.f64.s64 %rd8, %rd4;"] = (a, _, _) => U((double)(long)a),
        ["cvt.rn.f64.u64 %rd8, %rd4;"] = (a, _, _) => U((double)a),
    };

    public static TheoryData<string> WordBodies => [.. Words.Keys];

    public static TheoryData<string> LongBodies => [.. Longs.Keys];

    [Theory]
    [MemberData(nameof(WordBodies))]
    public void Instructions_Of_32_Bits_Give_What_CSharp_Gives(string body)
    {
        uint[] input = Inputs(1);
        PtxProgram program = new($"ld.global.v4.b32 {{%r4, %r5, %r6, %r7}}, [%rd2];\n{body}\nst.global.b32 [%rd3], %r8;") { Grid = (Blocks, 1, 1) };
        uint[] actual = program.Run32(input);
        for (int t = 0; t < actual.Length; t++)
        {
            (uint a, uint b, uint c) = (input[4 * t], input[(4 * t) + 1], input[(4 * t) + 2]);
            uint expected = Words[body](a, b, c);
            Assert.True(expected == actual[t], $"{body} a {a:x8} b {b:x8} c {c:x8}: {actual[t]:x8}, not {expected:x8}");
        }
    }

    [Theory]
    [MemberData(nameof(LongBodies))]
    public void Instructions_Of_64_Bits_Give_What_CSharp_Gives(string body)
    {
        uint[] input = Inputs(2);
        PtxProgram program = new($"ld.global.v2.b64 {{%rd4, %rd5}}, [%rd2];\nxor.b64 %rd6, %rd4, %rd5;\n{body}\nst.global.b64 [%rd3], %rd8;") { Grid = (Blocks, 1, 1) };
        ulong[] actual = program.Run(input);
        for (int t = 0; t < actual.Length; t++)
        {
            ulong a = input[4 * t] | ((ulong)input[(4 * t) + 1] << 32);
            ulong b = input[(4 * t) + 2] | ((ulong)input[(4 * t) + 3] << 32);
            ulong expected = Longs[body](a, b, a ^ b);
            Assert.True(expected == actual[t], $"{body} a {a:x16} b {b:x16}: {actual[t]:x16}, not {expected:x16}");
        }
    }

    [Theory]
    [MemberData(nameof(WordBodies))]
    public unsafe void Vector_Forms_Equal_Their_Definitions_Under_Any_Mask(string body)
    {
        // The second program executes every instruction lane by lane; half of the lanes are switched off.
        string text = $"ld.global.v4.b32 {{%r4, %r5, %r6, %r7}}, [%rd2];\nmov.b32 %r8, 5; and.b32 %r3, %r7, 1; setp.eq.s32 %p7, %r3, 0;\n"
            + $"@%p7 bra skip;\n{body}\nskip: st.global.b32 [%rd3], %r8;";
        uint[] input = Inputs(3);
        uint[] fast = new PtxProgram(text) { Grid = (Blocks, 1, 1) }.Run32(input);
        uint[] plain = new PtxProgram(text)
        {
            Grid = (Blocks, 1, 1),
            Prepare = module =>
            {
                foreach (PtxInstruction i in module["K"].Instructions)
                {
                    i.Execute = i.Scalar is not null && i.Class is not (PtxOpClass.Exchange or PtxOpClass.Atomic) ? &Warp.Scalar
                        : i.Approximation is not null ? &Warp.Approximate
                        : i.Compare is not null ? &Warp.SetPredicate : i.Execute;
                }
            },
        }.Run32(input);
        Assert.Equal(plain, fast);
    }

    /// <summary>The rounding error of x * x, which a fused difference is, with x = 1 + 2^-12: 2^-24. Rounded twice it is 0.</summary>
    [Theory]
    [InlineData("mul.f32 %f2, %f1, %f1;\nsub.f32 %f3, %f2, %f2;", true)]
    [InlineData("mul.ftz.f32 %f2, %f1, %f1;\nneg.f32 %f4, %f2;\nadd.ftz.f32 %f3, %f4, %f2;", true)]
    [InlineData("mul.f32 %f2, %f1, %f1;\nmov.f32 %f4, %f2;\nsub.f32 %f3, %f2, %f4;", true)]
    [InlineData("mul.f32 %f2, %f1, %f1;\nmov.f32 %f4, %f2;\nsub.f32 %f3, %f4, %f2;", true)]
    [InlineData("mul.rn.f32 %f2, %f1, %f1;\nsub.f32 %f3, %f2, %f2;", false)]
    [InlineData("mul.f32 %f2, %f1, %f1;\nsub.rn.f32 %f3, %f2, %f2;", false)]
    [InlineData("mul.f32 %f2, %f1, %f1;\nmov.f32 %f4, %f2;\nmov.f32 %f5, %f2;\nsub.f32 %f3, %f4, %f5;", false)]
    [InlineData("mul.f32 %f2, %f1, %f1;\nbra next;\nnext:\nsub.f32 %f3, %f2, %f2;", false)]
    [InlineData("mov.f32 %f6, %f1;\nmul.f32 %f2, %f6, %f6;\nmov.f32 %f6, 0f00000000;\nsub.f32 %f3, %f2, %f2;", false)]
    public void Products_And_Sums_Without_A_Rounding_Of_Their_Own_May_Be_Fused(string body, bool isFused)
    {
        float Result(bool contracts) => F(new PtxProgram($"ld.global.f32 %f1, [%rd0];\n{body}\nst.global.f32 [%rd3], %f3;") { Options = new PtxOptions { Contracts = contracts } }
            .Run32([U(1 + MathF.Pow(2, -12))])[0]);
        Assert.Equal(0, Result(false));
        Assert.Equal(isFused ? MathF.Pow(2, -24) : 0, MathF.Abs(Result(true)));
    }

    [Fact]
    public void Seeded_Errors_Of_Approximations_Stay_Within_Their_Bounds_And_Repeat()
    {
        uint[] input = [.. Enumerable.Range(0, 4 * 32 * Blocks).Select(i => U((i % 977 * 0.01f) + 0.01f))];
        foreach (string opcode in new[] { "ex2", "lg2", "rcp", "rsqrt", "sqrt", "sin", "cos", "tanh" })
        {
            Approximation function = Approximation.Of(opcode);
            PtxProgram Program(int? seed) => new($"ld.global.b32 %r4, [%rd2];\n{opcode}.approx.f32 %r8, %r4;\nst.global.b32 [%rd3], %r8;")
            {
                Grid = (Blocks, 1, 1),
                Options = PtxOptions.Default with { ApproximationSeed = seed },
            };
            uint[] exact = Program(null).Run32(input);
            uint[] moved = Program(1).Run32(input);
            Assert.Equal(moved, Program(1).Run32(input));
            Assert.NotEqual(moved, Program(2).Run32(input));
            Assert.NotEqual(exact, moved);
            for (int t = 0; t < exact.Length; t++)
            {
                double truth = function.Exact(F(input[4 * t]), 0);
                double bound = function.Error / (1 << 23) * (function.Absolute ? 1 : Math.Abs(truth));
                bound += Math.Abs(truth) / (1 << 24);   // rounding of the result to float32
                Assert.True(Math.Abs(F(moved[t]) - truth) <= bound, $"{opcode} of {F(input[4 * t])}");
            }
        }
    }

    private static uint[] Inputs(int seed)
    {
        Random random = new(seed);
        uint[] values = new uint[4 * 32 * Blocks];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = random.Next(4) == 0 ? (uint)random.NextInt64(1L << 32) : Awkward[random.Next(Awkward.Length)];
        }
        return values;
    }

    private static float F(uint bits) => BitConverter.UInt32BitsToSingle(bits);

    private static double D(ulong bits) => BitConverter.UInt64BitsToDouble(bits);

    private static uint U(float value) => float.IsNaN(value) ? 0x7fff_ffff : BitConverter.SingleToUInt32Bits(value);

    private static ulong U(double value) => double.IsNaN(value) ? 0x7fff_ffff_ffff_ffff : BitConverter.DoubleToUInt64Bits(value);

    private static float Z(float value) => float.IsSubnormal(value) ? MathF.CopySign(0, value) : value;

    private static uint H(Half value) => Half.IsNaN(value) ? 0x7fffu : BitConverter.HalfToUInt16Bits(value);

    // A single NaN loses; +0 is larger than -0.
    private static float Larger(float a, float b) =>
        float.IsNaN(a) ? b : float.IsNaN(b) ? a : a > b ? a : b > a ? b : float.IsNegative(a) ? b : a;

    private static long ToInt(double value, long least, long most) => double.IsNaN(value) ? 0 : (long)Math.Clamp(value, least, most);

    private static uint Brain(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        if (float.IsNaN(value))
        {
            return 0x7fff;
        }
        uint tail = bits & 0xffff;
        uint top = bits >> 16;
        return tail > 0x8000 || (tail == 0x8000 && (top & 1) != 0) ? top + 1 : top;
    }

    private static uint HalfTowardsZero(float value)
    {
        if (float.IsNaN(value))
        {
            return 0x7fff;
        }
        // The largest half whose magnitude does not exceed the value's, by search.
        uint sign = float.IsNegative(value) ? 0x8000u : 0;
        if (float.IsInfinity(value))
        {
            return sign | 0x7c00;
        }
        uint low = 0;
        uint high = 0x7bff;
        while (low < high)
        {
            uint middle = (low + high + 1) / 2;
            if ((float)BitConverter.UInt16BitsToHalf((ushort)middle) <= Math.Abs(value))
            {
                low = middle;
            }
            else
            {
                high = middle - 1;
            }
        }
        return sign | low;
    }

    private static uint EachHalf(uint a, uint b, Func<Half, Half, double> operation)
    {
        Half low = (Half)operation(BitConverter.UInt16BitsToHalf((ushort)a), BitConverter.UInt16BitsToHalf((ushort)b));
        Half high = (Half)operation(BitConverter.UInt16BitsToHalf((ushort)(a >> 16)), BitConverter.UInt16BitsToHalf((ushort)(b >> 16)));
        return H(low) | (H(high) << 16);
    }
}
